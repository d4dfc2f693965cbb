//! `pushring sweep`.

mod log;
mod metrics;
mod pass;
mod report;
mod watch;

use std::time::Duration;

use crate::cleanup::safety_check::{SafetyArgs, SafetyCheck};
use crate::error::ExitStatus;
use crate::fleet::source::FleetArgs;
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output::{self, Output};
use pass::Options;
use watch::WatchArgs;

/// Delete what stayed on gateways that no longer own it, when nothing is lost by it
///
/// When members change, groups get another owner; what their former owner holds stays there. A copy is deleted when the
/// group's owner holds every metric family of it, each pushed later (by more than 2 s, after correcting for the clocks).
/// Everything else is kept and told with the reason: most of it goes with a later sweep, after its next push. With
/// --watch it goes on and on.
///
/// Right before each batch of deletions the members, the Envoys and the gateways are read again; a deletion is sent
/// within a second of that. A push that reaches a former owner within this second is lost: give --envoy for every
/// Envoy, so that none sends there any more.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 every group lies on its owner; 1 a copy was kept or a gateway is unreadable (with --dry-run: or a copy
would be deleted); 2 wrong usage, a bad configuration, or not safe to run.

Examples:
  pushring sweep --config live/ring.yaml --dry-run
  pushring sweep --config live/ring.yaml --envoy http://10.0.1.1:9091 --envoy http://10.0.1.2:9091
  pushring sweep --config live/ring.yaml --consul http://127.0.0.1:8500 --orphans-after 7d --output json
  pushring sweep --config live/ring.yaml --consul http://127.0.0.1:8500 --envoy http://10.0.1.1:9091 --watch 15s")]
pub(crate) struct SweepArgs {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Also delete a copy that its owner does not supersede (or does not have), when it was pushed last that long ago.
    /// Choose more than the longest time between two pushes of a group
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    orphans_after: Option<Duration>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    safety: SafetyArgs,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    gateways: GatewayArgs,
}

impl SweepArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let options = Options { dry_run: self.dry_run, orphans_after: self.orphans_after };
        let mut safety = SafetyCheck::new(&self.safety, self.fleet.source()?)?;
        if let Some(interval) = self.watch.watch {
            return watch::run(&self.watch, interval, &self.gateways, safety, options)
                .map(|()| ExitStatus::Done);
        }
        // What cannot be safe later either is told before waiting.
        let fleet = safety.source().read()?;
        fleet.require_owners()?;
        let gateways = Gateways::new(&self.gateways, fleet.router.config())?;
        let fleet = if self.dry_run { fleet } else { safety.wait_until_settled(output::settling)? };
        let bar = output::progress("deleting");
        let report = pass::pass(&fleet, &gateways, &safety, options, output::advance(&bar))?;
        bar.finish_and_clear();
        output::show(self.output, &report, report::text)?;
        Ok(ExitStatus::found(report.is_unfinished()))
    }
}
