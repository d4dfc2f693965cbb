//! `pushring discover`.

mod events;
mod file_sd;
mod member_series;
mod metrics;
mod run;
mod sources;
mod state;
mod target;

use std::net::SocketAddr;
use std::time::Duration;

use file_sd::FileSdArgs;
use sources::SourceArgs;
use target::TargetArgs;

use crate::command::given::Given;
use crate::discover::memory::Limits;
use crate::duration;
use crate::output::Output;

/// Follow the registered gateways and keep Envoy up to date
///
/// Reads the gateways from a registry, follows its changes, and publishes each of them as `pushring publish` does:
/// without losing a push. A gateway that vanishes from the registry counts as registered and not passing for the time of
/// --forget, so that an outage of the registry cannot shrink the ring below the share min_members_share of settings.yaml.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pushring discover --from etcd --etcd https://etcd:2379 --admin http://127.0.0.1:9901
  pushring discover --from kubernetes --namespace monitoring --admin http://127.0.0.1:9901
  pushring discover --from file --file gateways.yaml --admin http://127.0.0.1:9901
  pushring discover --from file --file gateways.yaml --live out/ --settings settings.yaml --once
  pushring discover --from consul --consul http://127.0.0.1:8500 --admin http://127.0.0.1:9901
  pushring discover --from dns --dns _pushgateway._tcp.example.com --file-sd /etc/prometheus/pushgateways.json
  pushring discover --from kubernetes --namespace monitoring --to wasmplugin --plugin pushring/pushring --service-entry pushgateway

SIGTERM ends it after the publication in progress; SIGHUP reads the settings again, as does a change of their file.")]
pub(crate) struct DiscoverArgs {
    #[command(flatten)]
    target: Given<TargetArgs>,
    /// How long a gateway that vanished counts as registered
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration::within(Duration::ZERO, duration::DAY * 30))]
    forget: Duration,
    /// How long a gateway that is not ready keeps its place on the ring, for rolling restarts
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration::within(Duration::ZERO, duration::HOUR))]
    hold: Duration,
    /// Publish once and end
    #[arg(long)]
    once: bool,
    /// Address of /metrics, /-/healthy and /-/ready; port 0 selects a free port, which is logged
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9088", conflicts_with = "once")]
    listen: SocketAddr,
    /// Output format of --once
    #[arg(long, value_enum, default_value_t, requires = "once")]
    output: Output,
    #[command(flatten)]
    file_sd: FileSdArgs,
    // Last, because the heading of a source's flags would be that of all after them.
    #[command(flatten)]
    source: Given<SourceArgs>,
}

impl DiscoverArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let to = self.target.args.to;
        self.source.args.check(self.source.flags(), to)?;
        self.target.args.check(self.target.flags())?;
        let limits = Limits { forget: self.forget, hold: self.hold };
        let settings = self.target.args.publication.settings.clone();
        let source = self.source.args;
        let target = self.target.args.target(source.kubernetes())?;
        let file_sd = self.file_sd.files(source.has_services())?;
        let all_services = file_sd.has_services();
        let make_source = Box::new(move |settings: &_| source.make(settings, all_services));
        let discovery = run::Discovery::new(make_source, settings, target, limits, file_sd)?;
        if self.once { discovery.once(self.output) } else { discovery.run(self.listen) }
    }
}
