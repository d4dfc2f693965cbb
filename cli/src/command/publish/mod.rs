//! `pushring publish`.

mod departed;
mod envoy_admin;
mod live;
mod options;
mod run;
mod steps;
mod upstream_kind;
mod upstreams;
mod work_folder;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;

pub use crate::fleet::ring_file::RING_FILE;
pub use envoy_admin::Admin;
pub use options::{Options, Report};
pub use run::{publish, publish_file};
pub use upstream_kind::{CLUSTERS_FILE, ENDPOINTS_FILE};

use crate::duration;
use crate::error::BadInput;
use crate::output::{self, Output};
use crate::text;

/// Update Envoy's files from the registered gateways without losing a push
///
/// Decides which registrations are members of the ring and checks the ring with the filter's own parser. Moves the
/// clusters or endpoints into place (old and new ones together), waits until Envoy has them, then moves the ring.
/// Clusters and endpoints that left are dropped by the first run that comes a grace time later. A run may be killed at
/// any point, and runs at the same time wait for each other. consul-template runs it after each rendering.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pushring publish --admin http://127.0.0.1:9901
  pushring publish --registrations gateways.json --settings settings.yaml --live out/ --output json

Registrations without Consul, one object per gateway; name, weight and status may be left out:
  {\"registrations\": [{\"address\": \"10.0.0.1\", \"port\": 9091, \"weight\": 1, \"status\": \"passing\"}]}")]
pub(crate) struct PublishArgs {
    /// Registered gateways (JSON), as consul-template renders them
    #[arg(long, value_name = "FILE", default_value = "/etc/pushring/registrations.json")]
    registrations: PathBuf,
    /// Settings of the ring (YAML)
    #[arg(long, value_name = "FILE", default_value = "/etc/pushring/consul-template/settings.yaml")]
    settings: PathBuf,
    /// Folder that Envoy watches
    #[arg(long, value_name = "DIR", default_value = "/etc/pushring/live")]
    live: PathBuf,
    /// The filter's module as Envoy finds it [default: pushring_filter.wasm next to the live folder]
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    /// Admin interface of an Envoy: http://host:port or unix:/path, repeatable; without it, a fixed delay applies
    #[arg(long, value_name = "URL")]
    admin: Vec<String>,
    /// How long a cluster or endpoint stays after the ring no longer names it
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::within(duration::MILLISECOND, duration::DAY))]
    grace: Duration,
    /// Wait between the clusters or endpoints and the ring if Envoy cannot be asked
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration::within(Duration::ZERO, duration::HOUR))]
    delay: Duration,
    /// How long to wait for Envoy to add a cluster or endpoint; longer than its resolver needs to give up on a name
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::within(duration::MILLISECOND, duration::HOUR))]
    timeout: Duration,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl PublishArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        ensure!(
            !self.live.exists() || self.live.is_dir(),
            BadInput(format!(
                "--live: found {}, which is no directory, expected one",
                text::path(&self.live)
            ))
        );
        let options = Options {
            wasm: self.wasm.map_or_else(|| default_wasm(&self.live), Ok)?,
            live: self.live,
            // Not parsed by clap, whose errors repeat the value, which may contain a password.
            admin: self.admin.iter().map(|url| url.parse()).collect::<anyhow::Result<_>>()?,
            grace: self.grace,
            delay: self.delay,
            timeout: self.timeout,
        };
        let report = publish_file(&self.registrations, &self.settings, &options)?;
        for warning in &report.warnings {
            output::warn(text::line(warning));
        }
        output::show(self.output, &report, ToString::to_string)
    }
}

/// Returns the path next to the live folder, absolute, because Envoy runs in another folder.
fn default_wasm(live: &Path) -> std::io::Result<PathBuf> {
    Ok(std::path::absolute(live)?.with_file_name("pushring_filter.wasm"))
}
