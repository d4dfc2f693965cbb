//! `pushring groups`.

mod broken_api;
mod clashes;
mod collision;
mod conflicts;
pub(crate) mod culprits;
mod curl;
pub(crate) mod diagnose;
pub(crate) mod exposed;
mod rejections;
mod replication;
mod scrape_error;
mod states;
mod suspects;
mod unlisted;

use std::time::Duration;

use anyhow::ensure;

use crate::duration;
use crate::error::{BadInput, ExitStatus};
use crate::fleet::group_filter::GroupFilter;
use crate::fleet::source::FleetArgs;
use crate::fleet::survey::Survey;
use crate::fleet::unreadable::Unreadable;
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output::{self, Output};
use crate::text::line;
use curl::Curl;
use diagnose::Poisoned;
use states::{Report, RowFilter, Sort, State};

/// List all groups on all gateways, with their owner and state
///
/// Each row is one copy of a group. States: in-place (on its owner); misplaced (the owner holds all of it, newer:
/// `pushring sweep` deletes it); duplicated (the owner holds the group, but not all of it newer: kept); left-behind (the
/// owner does not hold the group: the next push stores it there, `pushring drain` moves it); stale (in place, but not
/// pushed for a long time); stub (no push was ever accepted); unknown (the state cannot be determined). With `mirror: all`
/// also: replica (on the first successor of its owner, which holds the same); stale-replica (there, but families or values
/// differ: `pushring sweep --repair` repairs it); a group without its replica has the reason at its owner's row.
/// Ages use the clock of the gateway that stores the group.
#[derive(clap::Args)]
#[command(after_help = "\
The filters select the groups that are shown, counted and reflected in the exit code.

Exit codes: 0 all selected groups are in-place, replica or stale; 1 a group is in another state or without its replica,
or a gateway on the ring cannot be read (with --conflicts: or there is a conflict or a poisoned gateway); 2 wrong usage or invalid configuration.

Examples:
  pushring groups --config live/ring.yaml --sort age
  pushring groups --config live/ring.yaml --job 'backup-.*' --state left-behind --state duplicated
  pushring groups --config live/ring.yaml --consul http://127.0.0.1:8500 --older-than 7d --output json
  pushring groups --config live/ring.yaml --conflicts")]
pub(crate) struct GroupsArgs {
    /// Mark a group as stale if its last push is older than this
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration::within(Duration::ZERO, duration::ANY))]
    stale_after: Duration,
    /// Order of the rows
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Instead of groups, list families with different types on different gateways, and poisoned gateways (scrapes fail or
    /// lose samples, pushes may be rejected) with the culprit and the command that deletes it
    #[arg(long, conflicts_with_all = ["job", "labels", "older_than", "younger_than", "states", "stale_after", "sort"])]
    conflicts: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    filter: GroupFilter,
    /// Only groups last pushed less than this long ago
    #[arg(long, value_name = "TIME", value_parser = duration::within(duration::MILLISECOND, duration::ANY))]
    younger_than: Option<Duration>,
    /// Only groups in this state. Repeatable
    #[arg(long = "state", value_enum, value_name = "STATE")]
    states: Vec<State>,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    gateways: GatewayArgs,
}

impl GroupsArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        self.filter.check()?;
        if let (Some(older), Some(younger)) = (self.filter.older_than, self.younger_than) {
            let found = "--younger-than: found a time that is not more than --older-than";
            ensure!(younger > older, BadInput(format!("{found}, expected more, because no group is both")));
        }
        let fleet = self.fleet.source()?.read()?;
        let gateways = Gateways::new(&self.gateways, &fleet)?;
        let mut survey = Survey::read(&gateways, &fleet);
        if self.conflicts {
            let curl = Curl::new(&self.gateways);
            let report = conflicts::Report::new(&gateways, fleet.router.config(), &survey, &curl);
            output::show(self.output, &report, conflicts_text)?;
            return Ok(ExitStatus::found(report.is_bad()));
        }
        replication::settle(&fleet, &gateways, &mut survey);
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
    let unreplicated = report.unreplicated.filter(|&count| count > 0);
    let unreplicated = unreplicated.map_or_else(String::new, |count| format!("; {count} without replica"));
    let counts = if counts.is_empty() { "no groups".to_owned() } else { counts.join(", ") };
    let table = if table.is_empty() { String::new() } else { format!("{}\n\n", table) };
    let on = gateways(report.gateways, &report.unreadable);
    format!("{table}{counts} on {on}{unreplicated}\n{}", Unreadable::lines(&report.unreadable))
}

fn gateways(asked: usize, unreadable: &[Unreadable]) -> String {
    let gateways = if asked == 1 { "gateway" } else { "gateways" };
    match unreadable.len() {
        0 => format!("{asked} {gateways}"),
        some => format!("{} of {asked} {gateways}", asked - some),
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
    let table = if table.is_empty() { String::new() } else { format!("{}\n\n", table) };
    let poisoned: String = report.poisoned.iter().map(poisoned_text).collect();
    format!(
        "{table}{poisoned}{} {} with different types, {} poisoned, on {}\n{}",
        report.conflicts.len(),
        if report.conflicts.len() == 1 { "family" } else { "families" },
        report.poisoned.len(),
        gateways(report.gateways, &report.unreadable),
        Unreadable::lines(&report.unreadable)
    )
}

fn poisoned_text(poisoned: &Poisoned) -> String {
    let mut text =
        format!("{} is poisoned: {}\n", line(&poisoned.gateway), output::short_line(&poisoned.error));
    for culprit in &poisoned.culprits {
        let [group, reason] =
            [&output::group(&culprit.labels), &culprit.reason.text].map(|text| output::short_line(text));
        // The command stays whole, so that it can be copied.
        text += &format!("  {group}: {reason}\n    {}\n", line(&culprit.mend));
    }
    if poisoned.culprits.is_empty() {
        text += "  culprit unknown: search its web page, or delete all groups (PUT /api/v1/admin/wipe)\n";
    }
    text + "\n"
}
