//! `pushring delete`.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::cleanup::guard::{Guard, GuardArgs};
use crate::cleanup::plan::{Copy, End, Report, choose, deleted};
use crate::error::BadInput;
use crate::fleet::group_filter::Select;
use crate::fleet::source::FleetArgs;
use crate::fleet::survey::Survey;
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output;
use crate::output::Output;
use anyhow::ensure;
use comfy_table::Table;

use super::Outcome;

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
pub(crate) struct Delete {
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
    select: Select,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    gateways: GatewayArgs,
}

impl Delete {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        ensure!(
            self.select.job.is_some() || !self.select.labels.is_empty(),
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
        let plan = choose(&fleet, &survey, &self.select);
        if self.dry_run {
            return self.report(&plan.dry_run());
        }
        if plan.removals() > 0 && !self.yes && !confirm(&plan.copies, plan.removals())? {
            eprintln!("pushring: nothing was deleted");
            return Ok(Outcome::Found);
        }
        // Takes over Ctrl-C, so only now.
        let mut guard = Guard::new(&GuardArgs { envoys: Vec::new(), settle: Duration::ZERO }, source)?;
        guard.observe()?;
        let bar = output::progress("deleting");
        let report = plan.carry_out(&gateways, &guard, output::advance(&bar));
        bar.finish_and_clear();
        self.report(&report)
    }

    fn report(&self, report: &Report) -> anyhow::Result<Outcome> {
        output::show(self.output, report, text)?;
        Ok(Outcome::found(report.is_unfinished()))
    }
}

/// Shows and asks on standard error, so that standard output holds the result alone. Anything but yes is no.
fn confirm(copies: &[Copy], removals: usize) -> anyhow::Result<bool> {
    eprintln!("{}\n", table(copies, true).trim_fmt());
    eprint!("Delete {removals} groups? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

fn text(report: &Report) -> String {
    let deleted = deleted(&report.groups);
    let verb = if report.dry_run { "would be deleted" } else { "deleted" };
    format!(
        "{}{}{deleted} {verb}, {} kept",
        copies_text(&report.groups, report.dry_run),
        output::unreadable(&report.unreadable),
        report.groups.len() - deleted
    )
}

/// The table with an empty line below it; nothing where there is nothing to tell.
pub(super) fn copies_text(copies: &[Copy], dry_run: bool) -> String {
    if copies.is_empty() { String::new() } else { format!("{}\n\n", table(copies, dry_run).trim_fmt()) }
}

fn table(copies: &[Copy], dry_run: bool) -> Table {
    let mut table =
        output::table(&["GROUP", "ON", "LAST PUSH", if dry_run { "WOULD BE" } else { "RESULT" }, "BECAUSE"]);
    for copy in copies {
        let (result, reason) = match &copy.end {
            End::Deleted => ("deleted", ""),
            End::Kept(reason) => ("kept", reason.as_str()),
            End::Failed(reason) => ("failed", reason.as_str()),
        };
        let age = copy.age_seconds.map_or_else(|| "-".to_owned(), output::age);
        table.add_row([output::group(&copy.labels).as_str(), &copy.on, &age, result, reason]);
    }
    table
}
