//! `pushring sweep`.

pub(crate) mod heal;
mod log;
mod metrics;
mod pass;
mod repair;
mod report;
mod watch;

use std::time::Duration;

use crate::cleanup::safety_check::{SafetyArgs, SafetyCheck};
use crate::command::given::Given;
use crate::duration;
use crate::error::ExitStatus;
use crate::fleet::past::Past;
use crate::fleet::source::FleetArgs;
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output::{self, Output};
use pass::Options;
use watch::WatchArgs;

/// Delete stale copies of groups from former owners; with --repair, restore lost ones
///
/// When members change, some groups get another owner, and copies of them remain on the former owners. A copy is
/// deleted if the owner holds all of its metric families, each pushed later (by more than 2 s, with the clocks
/// corrected). Other copies are kept and listed with the reason; most of them can be deleted after their next push.
/// With --watch, the sweep repeats until it is stopped.
///
/// Right before each batch of deletions, the members, the Envoys and the gateways are read again; a deletion is sent
/// within one second of that. A push that reaches a former owner within this second is lost: pass every Envoy with
/// --envoy, so that none still sends pushes there.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 every group is on its owner; 1 a copy was kept, a difference was not repaired, or a gateway on the ring
cannot be read (with --dry-run: or anything would be changed); 2 wrong usage, invalid configuration, or not safe to run.

Examples:
  pushring sweep --config live/ring.yaml --dry-run
  pushring sweep --config live/ring.yaml --envoy http://10.0.1.1:9091 --envoy http://10.0.1.2:9091
  pushring sweep --config live/ring.yaml --consul http://127.0.0.1:8500 --orphans-after 7d --output json
  pushring sweep --config live/ring.yaml --consul http://127.0.0.1:8500 --envoy http://10.0.1.1:9091 --watch 15s")]
pub(crate) struct SweepArgs {
    /// Show what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Also delete a copy that is not newer on its owner, or not there at all, if its last push is older than this.
    /// Set it to more than the longest interval between two pushes of a group
    #[arg(long, value_name = "TIME", value_parser = duration::within(duration::SECOND, duration::ANY))]
    orphans_after: Option<Duration>,
    /// Also delete stubs (groups without any accepted push) that make their gateway reject every push
    #[arg(long)]
    heal: bool,
    /// Before that, make every group equal on its owner and its replica: give an owner that restarted without its groups
    /// those of the replica, and a replica the pushes that it missed. Requires `mirror: all`
    #[arg(long)]
    repair: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    safety: SafetyArgs,
    #[command(flatten)]
    watch: Given<WatchArgs>,
    #[command(flatten)]
    gateways: GatewayArgs,
}

impl SweepArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let options = Options {
            dry_run: self.dry_run,
            orphans_after: self.orphans_after,
            heal: self.heal,
            repair: self.repair,
        };
        self.watch.args.check(self.watch.flags())?;
        let mut safety = SafetyCheck::new(&self.safety, self.fleet.source()?)?;
        let watch = &self.watch.args;
        if let Some(interval) = watch.watch {
            return watch::run(watch, interval, &self.gateways, safety, options).map(|()| ExitStatus::Done);
        }
        // Report errors that waiting cannot fix before waiting.
        let fleet = safety.source().read()?;
        fleet.require_owners()?;
        if self.repair {
            repair::require_replicas(fleet.router.config())?;
        }
        let gateways = Gateways::new(&self.gateways, &fleet)?;
        let fleet = if self.dry_run { fleet } else { safety.wait_until_settled(output::settling)? };
        let mut past = Past::default();
        past.observe(&fleet);
        let bar = output::progress("groups");
        let report = pass::pass(&fleet, &gateways, &safety, (options, &past), output::advance(&bar))?;
        bar.finish_and_clear();
        output::show(self.output, &report, report::text)?;
        Ok(ExitStatus::found(report.is_unfinished()))
    }
}
