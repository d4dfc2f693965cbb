//! `pushring delete`.

mod run;

use std::io::{self, IsTerminal, Write};

use crate::cleanup::copy::{Age, GroupCopy};
use crate::cleanup::delete_batch;
use crate::cleanup::safety_check::{SafetyArgs, SafetyCheck};
use crate::command::copies_table;
use crate::error::{BadInput, ExitStatus};
use crate::fleet::group_filter::GroupFilter;
use crate::fleet::source::FleetArgs;
use crate::fleet::survey::Survey;
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output::{self, Output};
use anyhow::ensure;
use run::Report;

/// Delete groups on every gateway that stores them
///
/// Shows the groups and asks for confirmation. Each group is read again right before its deletion, and a group that was
/// pushed since it was shown is kept. The owner of a group does not matter, so there is no settling time and no --envoy.
/// The next push of a job that still runs creates its groups again.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 no selected group is left; 1 a group was kept, a deletion failed, you answered no, or a gateway cannot be
read (with --dry-run: or a group is selected); 2 wrong usage, invalid configuration, or no terminal and no --yes.

Examples:
  pushring delete --config live/ring.yaml --job 'ci-build-.*' --dry-run
  pushring delete --config live/ring.yaml --job backup --label instance=db1
  pushring delete --config live/ring.yaml --job 'ci-.*' --older-than 7d --yes --output json")]
pub(crate) struct DeleteArgs {
    /// Show what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete without asking for confirmation
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    filter: GroupFilter,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    gateways: GatewayArgs,
}

impl DeleteArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        ensure!(
            self.filter.job.is_some() || !self.filter.labels.is_empty(),
            BadInput("no groups selected; pass --job REGEX, --label NAME=VALUE, or both".to_owned())
        );
        ensure!(
            self.dry_run || self.yes || io::stdin().is_terminal(),
            BadInput("no terminal to ask for confirmation; pass --yes or --dry-run".to_owned())
        );
        self.filter.check()?;
        let source = self.fleet.source()?;
        let fleet = source.read()?;
        let gateways = Gateways::new(&self.gateways, &fleet)?;
        let survey = Survey::read(&gateways, &fleet);
        let unreadable = survey.unreadable();
        let plan = run::plan(&fleet, &survey, &self.filter);
        if self.dry_run {
            return self.report(&Report { dry_run: true, groups: plan.copies, unreadable });
        }
        if !plan.removals.is_empty() && !self.yes && !confirm(&plan.copies, plan.removals.len())? {
            output::warn("nothing was deleted");
            return Ok(ExitStatus::Found);
        }
        // Created after the question, because it takes over Ctrl-C.
        let mut safety = SafetyCheck::new(&SafetyArgs::default(), source)?;
        safety.read_fleet()?;
        let bar = output::progress("deleting");
        let is_safe = || safety.check();
        let results =
            delete_batch::remove(&gateways, &survey, &plan.removals, is_safe, output::advance(&bar));
        bar.finish_and_clear();
        self.report(&Report { dry_run: false, groups: plan.finish(results), unreadable })
    }

    fn report(&self, report: &Report) -> anyhow::Result<ExitStatus> {
        output::show(self.output, report, run::text)?;
        Ok(ExitStatus::found(report.is_unfinished()))
    }
}

/// Asks on standard error, so that standard output has only the report. Any answer except y or yes means no.
fn confirm(copies: &[GroupCopy<Age>], removals: usize) -> anyhow::Result<bool> {
    let groups = if removals == 1 { "group" } else { "groups" };
    output::note(format_args!("{}\n\nDelete {removals} {groups}? [y/N] ", copies_table::table(copies, true)));
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
