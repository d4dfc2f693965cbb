//! `pushring groups`.

mod broken_api;
mod conflicts;
mod culprits;
mod curl;
mod scrape_error;
mod states;

use std::time::Duration;

use crate::error::ExitStatus;
use crate::fleet::group_filter::GroupFilter;
use crate::fleet::source::FleetArgs;
use crate::fleet::survey::{Survey, Unreadable};
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output::{self, Output};
use curl::Curl;
use states::{Report, RowFilter, Sort, State};

/// List all groups on all gateways, and where they should be
///
/// One row for each copy of a group. Its state is one of: in-place (it lies on its owner); misplaced (its owner holds
/// all of it, newer: `pushring sweep` deletes it); duplicated (its owner has the group too, but not all of it newer:
/// kept); left-behind (its owner does not have the group: its next push brings it there, `pushring drain` carries it);
/// stale (in place, but pushed last long ago); stub (no push to it was ever taken); unknown (it cannot be told).
/// Ages are by the clock of the gateway on which a group lies.
#[derive(clap::Args)]
#[command(after_help = "\
The filters choose the groups that are shown and counted, and of which the exit code speaks.

Exit codes: 0 all groups are in-place or stale; 1 one is in another state, or a gateway on the ring cannot be read
(--conflicts: or a conflict or a poisoned gateway was found); 2 wrong usage or a bad configuration.

Examples:
  pushring groups --config live/ring.yaml --sort age
  pushring groups --config live/ring.yaml --job 'backup-.*' --state left-behind --state duplicated
  pushring groups --config live/ring.yaml --consul http://127.0.0.1:8500 --older-than 7d --output json
  pushring groups --config live/ring.yaml --conflicts")]
pub(crate) struct GroupsArgs {
    /// A group in place whose last push is that long ago is stale
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    stale_after: Duration,
    /// The order of the rows
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Instead of the groups: families that have different types on different gateways, and gateways that are poisoned
    /// (/metrics answers 500, every push is refused), by which group, and the command that mends it
    #[arg(long, conflicts_with_all = ["job", "labels", "older_than", "younger_than", "states", "stale_after", "sort"])]
    conflicts: bool,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    filter: GroupFilter,
    /// Those whose last push is less than that long ago
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    younger_than: Option<Duration>,
    /// Those in this state, may be repeated
    #[arg(long = "state", value_enum, value_name = "STATE")]
    states: Vec<State>,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    gateways: GatewayArgs,
}

impl GroupsArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let fleet = self.fleet.source()?.read()?;
        let gateways = Gateways::new(&self.gateways, fleet.router.config())?;
        let survey = Survey::read(&gateways, &fleet);
        if self.conflicts {
            let curl = Curl::new(&self.gateways);
            let report = conflicts::Report::new(&gateways, fleet.router.config(), &survey, &curl);
            output::show(self.output, &report, conflicts_text)?;
            return Ok(ExitStatus::found(report.is_bad()));
        }
        let filter = RowFilter { groups: self.filter, younger_than: self.younger_than, states: self.states };
        let report = Report::new(&fleet, &survey, self.stale_after, &filter, self.sort);
        output::show(self.output, &report, text)?;
        Ok(ExitStatus::found(report.is_bad()))
    }
}

fn text(report: &Report) -> String {
    let mut table =
        output::table(&["GROUP", "OWNER", "GATEWAY", "LAST PUSH", "LAST FAILED", "STATE", "REASON"]);
    let age = |seconds: Option<i64>| seconds.map_or_else(|| "-".to_owned(), output::age);
    for row in &report.groups {
        let off = if row.on_ring { "" } else { " (not on the ring)" };
        table.add_row([
            output::group(&row.labels),
            row.owner.clone().unwrap_or_else(|| "?".to_owned()),
            format!("{}{off}", row.on),
            age(row.age_seconds),
            age(row.failed_age_seconds),
            row.state.name().to_owned(),
            row.reason.clone().unwrap_or_default(),
        ]);
    }
    let counts: Vec<String> =
        report.counts.iter().map(|(state, count)| format!("{count} {}", state.name())).collect();
    let counts = if counts.is_empty() { "no groups".to_owned() } else { counts.join(", ") };
    let table = if table.is_empty() { String::new() } else { format!("{}\n\n", table.trim_fmt()) };
    let on = gateways(report.gateways, &report.unreadable);
    format!("{table}{counts} on {on}\n{}", Unreadable::lines(&report.unreadable))
}

fn gateways(asked: usize, unreadable: &[Unreadable]) -> String {
    match unreadable.len() {
        0 => format!("{asked} gateways"),
        some => format!("{} of {asked} gateways", asked - some),
    }
}

fn conflicts_text(report: &conflicts::Report) -> String {
    let mut table = output::table(&["FAMILY", "TYPE", "GATEWAY", "GROUPS", "EXAMPLE"]);
    for conflict in &report.conflicts {
        for holder in &conflict.holders {
            let (groups, example) = (holder.groups.to_string(), output::group(&holder.example));
            table.add_row([&conflict.family, &holder.kind, &holder.on, &groups, &example]);
        }
    }
    let table = if table.is_empty() { String::new() } else { format!("{}\n\n", table.trim_fmt()) };
    let poisoned: String = report.poisoned.iter().map(poisoned_text).collect();
    format!(
        "{table}{poisoned}{} families with different types, {} poisoned, on {}\n{}",
        report.conflicts.len(),
        report.poisoned.len(),
        gateways(report.gateways, &report.unreadable),
        Unreadable::lines(&report.unreadable)
    )
}

fn poisoned_text(poisoned: &conflicts::Poisoned) -> String {
    let mut text = format!("{} is poisoned: {}\n", poisoned.gateway, poisoned.error);
    for culprit in &poisoned.culprits {
        let group = output::group(&culprit.labels);
        text += &format!("  {group}: {}\n    {}\n", culprit.reason, culprit.mend);
    }
    if poisoned.culprits.is_empty() {
        text += "  Its answers do not tell which group that is: look at its page, or wipe it (PUT /api/v1/admin/wipe)\n";
    }
    text + "\n"
}
