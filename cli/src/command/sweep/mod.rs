//! `pushring sweep`.

mod log;
mod metrics;
pub mod pass;
mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use super::Outcome;
use crate::cleanup::guard::{Guard, GuardArgs};
use crate::command::sweep::pass as sweep;
use crate::command::sweep::pass::{End, Options, Report};
use crate::command::sweep::watch::WatchArgs;
use crate::fleet::source::FleetArgs;
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output;
use crate::output::Output;

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
pub(crate) struct Sweep {
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
    guard: GuardArgs,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    gateways: GatewayArgs,
}

impl Sweep {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        let options = Options { dry_run: self.dry_run, orphans_after: self.orphans_after };
        let mut guard = Guard::new(&self.guard, self.fleet.source()?)?;
        if let Some(interval) = self.watch.watch {
            return watch::run(&self.watch, interval, &self.gateways, guard, options).map(|()| Outcome::Done);
        }
        // What cannot be safe later either is told before waiting.
        let fleet = guard.source().read()?;
        sweep::groups_have_owners(fleet.router.config())?;
        let gateways = Gateways::new(&self.gateways, fleet.router.config())?;
        let fleet = if self.dry_run { fleet } else { guard.settled(output::settling)? };
        let bar = output::progress("deleting");
        let report = sweep::pass(&fleet, &gateways, &guard, options, output::advance(&bar))?;
        bar.finish_and_clear();
        output::show(self.output, &report, text)?;
        Ok(Outcome::found(report.is_unfinished()))
    }
}

fn text(report: &Report) -> String {
    let mut deleted: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut kept = output::table(&["GROUP", "ON", "OWNER", "KEPT BECAUSE"]);
    for copy in &report.misplaced {
        let owner = copy.owner.as_deref().unwrap_or("?");
        let reason = match &copy.end {
            End::Deleted(_) => {
                *deleted.entry((&copy.on, owner)).or_default() += 1;
                continue;
            }
            End::Kept(reason) => reason.to_string(),
            End::Failed(reason) => reason.clone(),
        };
        kept.add_row([&output::group(&copy.labels), &copy.on, owner, &reason]);
    }
    let mut text = String::new();
    if !deleted.is_empty() {
        let header = if report.dry_run { "WOULD BE DELETED" } else { "DELETED" };
        let mut table = output::table(&["FROM", "OWNER", header]);
        for ((on, owner), count) in &deleted {
            table.add_row([on, owner, count.to_string().as_str()]);
        }
        text += &format!("{}\n\n", table.trim_fmt());
    }
    if kept.row_count() > 0 {
        text += &format!("{}\n\n", kept.trim_fmt());
    }
    text += &output::unreadable(&report.unreadable);
    let deleted = report.deleted();
    let verb = if report.dry_run { "would be deleted" } else { "deleted" };
    text + &format!(
        "{} in place, {deleted} {verb}, {} kept",
        report.in_place,
        report.misplaced.len() - deleted
    )
}
