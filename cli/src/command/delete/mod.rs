//! `pushring delete`.

mod run;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

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

/// Delete groups on every gateway where they lie
///
/// Shows what it would delete and asks. Each group is read again right before it is deleted: one that was pushed to
/// since it was shown stays. Who owns a group does not matter here, so neither the settling time nor the Envoys do. A
/// job that is still running brings its groups back with its next push.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 no such group is left; 1 one was kept, deleting it failed, the answer was no, or a gateway cannot be read
(with --dry-run: or there is one); 2 wrong usage, a bad configuration, or nobody to ask and no --yes.

Examples:
  pushring delete --config live/ring.yaml --job 'ci-build-.*' --dry-run
  pushring delete --config live/ring.yaml --job backup --label instance=db1
  pushring delete --config live/ring.yaml --job 'ci-.*' --older-than 7d --yes --output json")]
pub(crate) struct DeleteArgs {
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// What to print
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
            BadInput("nothing is chosen; give --job REGEX, --label NAME=VALUE, or both".to_owned())
        );
        ensure!(
            self.dry_run || self.yes || io::stdin().is_terminal(),
            BadInput("there is no terminal to ask on; give --yes to delete without, or --dry-run".to_owned())
        );
        let source = self.fleet.source()?;
        let fleet = source.read()?;
        let gateways = Gateways::new(&self.gateways, fleet.router.config())?;
        let survey = Survey::read(&gateways, &fleet);
        let unreadable = survey.unreadable();
        let plan = run::choose(&fleet, &survey, &self.filter);
        if self.dry_run {
            return self.report(&Report { dry_run: true, groups: plan.copies, unreadable });
        }
        if !plan.removals.is_empty() && !self.yes && !confirm(&plan.copies, plan.removals.len())? {
            eprintln!("pushring: nothing was deleted");
            return Ok(ExitStatus::Found);
        }
        // Takes over Ctrl-C, so only now.
        let mut safety =
            SafetyCheck::new(&SafetyArgs { envoys: Vec::new(), settle: Duration::ZERO }, source)?;
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

/// Shows and asks on standard error, so that standard output holds the result alone. Anything but yes is no.
fn confirm(copies: &[GroupCopy<Age>], removals: usize) -> anyhow::Result<bool> {
    eprintln!("{}\n", copies_table::table(copies, true).trim_fmt());
    eprint!("Delete {removals} groups? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
