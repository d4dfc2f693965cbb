//! `pushring drain`.

use std::thread;
use std::time::{Duration, Instant};

mod next_step;
mod passes;
mod report;
mod run;
mod transfer;

use crate::cleanup::safety_check::{SafetyArgs, SafetyCheck};
use crate::duration;
use crate::error::{BadInput, ExitStatus};
use crate::fleet::address::GatewayAddress;
use crate::fleet::source::{FleetArgs, Source};
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output::{self, Output};
use report::Report;
use tracing::{info, warn};
use transfer::Options;

/// How long a gateway may stay on the ring after it has left its registry: consul-template and publish have their pauses.
const OFF_RING: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// Move the groups of a gateway that has left the ring to their owners
///
/// First take the gateway out of the ring (`pushring deregister`) and leave it running. Each group is then pushed to its
/// new owner, read back from there, and deleted on the old gateway. Only metric families that the owner lacks or holds
/// older are copied. A group is kept, and the reason reported, if moving it could lose data. A drain may be interrupted
/// or killed at any point; run it again to continue. Exit code 0 means that the gateway is empty and can be stopped.
#[derive(clap::Args)]
#[command(after_help = "\
Metrics are copied byte for byte: all types, native histograms, exemplars, created timestamps. Not copied:
  - push_time_seconds becomes the time of the copy, push_failure_time_seconds restarts
  - the unit of a family, which no Pushgateway exposes
A group that a client deleted on its new owner after the gateway left the ring comes back if the gateway still holds it.

Gateways are read at most 1 s before each request. A push that reaches the new owner within this second is replaced by \
the copy of the same family. Name every Envoy with --envoy to ensure that none still sends pushes to the old gateway.

Exit codes: 0 the gateway is empty (--keep: owners hold everything); 1 a group was kept; 2 not safe, nothing was done.

Examples:
  pushring deregister 10.0.0.4:9091
  pushring drain 10.0.0.4:9091 --config /etc/pushring/live/ring.yaml --dry-run
  pushring drain 10.0.0.4:9091 --config /etc/pushring/live/ring.yaml --envoy http://10.0.1.1:8080")]
pub(crate) struct DrainArgs {
    /// Gateway that left the ring, as host:port
    address: String,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    gateways: GatewayArgs,
    #[command(flatten)]
    safety: SafetyArgs,
    /// Copy the groups, but delete nothing on the gateway that left
    #[arg(long)]
    keep: bool,
    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Adds the registrations that keep the gateway on the ring, and how to remove them.
fn named(error: anyhow::Error, source: &Source, address: &GatewayAddress) -> anyhow::Error {
    let Some(consul) = source.consul() else { return error };
    let service = source.service();
    let mut text = format!("{error:#}");
    for datacenter in service.queried() {
        match consul.holders(&service.service, datacenter, address) {
            Ok(holders) => text.extend(holders.iter().map(|holder| format!("\nregistered as {holder}"))),
            Err(error) => text += &format!("\nwhere it is registered is unknown: {error:#}"),
        }
    }
    BadInput(text).into()
}

/// Drains a gateway that has just left its registry, once it is off the ring. Returns whether it still has groups; the log
/// says why.
///
/// # Errors
/// As `pushring drain`; also if the gateway is still on the ring after a while.
pub(crate) fn after_leaving(
    address: &GatewayAddress,
    source: Source,
    safety: &SafetyArgs,
    gateways: &GatewayArgs,
) -> anyhow::Result<bool> {
    let mut safety = SafetyCheck::new(safety, source)?;
    let address = address.to_string();
    let began = Instant::now();
    let fleet = loop {
        let fleet = safety.source().read();
        match fleet.and_then(|fleet| run::has_left(&address, &fleet).map(|()| fleet)) {
            Err(_) if began.elapsed() < OFF_RING && !safety.interrupted() => thread::sleep(PAUSE),
            fleet => break fleet?,
        }
    };
    let gateways = Gateways::new(gateways, &fleet)?;
    let fleet =
        safety.wait_until_settled(|left| info!(left = duration::show(left), "settling before the drain"))?;
    let options = Options { keep: false, dry_run: false };
    let report = run::drain(&address, &fleet, &gateways, &safety, options, &|_, _| ())?;
    for kept in &report.kept {
        warn!(group = format!("{:?}", kept.labels), reason = kept.reason.to_string(), "group kept");
    }
    info!(left = report.left, interrupted = report.interrupted, "drained");
    Ok(report.is_unfinished(false))
}

impl DrainArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let parsed = GatewayAddress::parse(&self.address)?;
        let address = parsed.to_string();
        let address = address.as_str();
        let mut safety = SafetyCheck::new(&self.safety, self.fleet.source()?)?;
        // Before the settling time, to fail at once.
        let fleet = safety.source().read()?;
        run::has_left(address, &fleet).map_err(|error| named(error, safety.source(), &parsed))?;
        let gateways = Gateways::new(&self.gateways, &fleet)?;
        let fleet = if self.dry_run { fleet } else { safety.wait_until_settled(output::settling)? };
        let options = Options { keep: self.keep, dry_run: self.dry_run };
        let bar = output::progress("groups");
        let report = run::drain(address, &fleet, &gateways, &safety, options, &output::advance(&bar))?;
        bar.finish_and_clear();
        self.print(&report)?;
        Ok(ExitStatus::found(report.is_unfinished(self.keep)))
    }

    fn print(&self, report: &Report) -> anyhow::Result<()> {
        output::show(self.output, &report, ToString::to_string)?;
        if report.interrupted {
            output::warn("interrupted; run the same command again to continue");
        }
        Ok(())
    }
}
