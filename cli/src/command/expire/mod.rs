//! `pushring expire`.

pub(crate) mod report;
pub(crate) mod rules;

use std::time::Duration;

use crate::cleanup::safety_check::{SafetyArgs, SafetyCheck};
use crate::error::{BadInput, ExitStatus};
use crate::fleet::source::FleetArgs;
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output::{self, Output};
use anyhow::ensure;
use rules::{JobRule, Rules};

/// Delete groups whose last push is long ago
///
/// Ages are by the clock of the gateway on which a group lies. A push that was refused counts as one. A group whose age
/// cannot be told (no push to it was ever taken, labels that are not UTF-8, …) is never deleted, and told.
///
/// Right before each batch of deletions the members, the Envoys and the gateways are read again; a group that was pushed
/// to meanwhile stays. A push that comes within the second between that and the deletion is lost.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing is due any more; 1 a group was kept though it is due or of unknown age, or a gateway on the ring
cannot be read (with --dry-run: or a group would be deleted); 2 wrong usage, a bad configuration, or not safe to run.

Examples:
  pushring expire --config live/ring.yaml --after 24h --dry-run
  pushring expire --config live/ring.yaml --after 24h --job 'backup-.*=8days' --job 'inventory=never'
  pushring expire --config live/ring.yaml --job 'ci-.*=1h' --output json")]
pub(crate) struct ExpireArgs {
    /// Delete a group whose last push is that long ago; without it, only the jobs of --job expire
    #[arg(long, value_name = "TIME", value_parser = rules::limit)]
    after: Option<Duration>,
    /// Another time for jobs that match as a whole, or never; may be repeated, the first that matches decides. What
    /// stands after the last = is the time
    #[arg(long = "job", value_name = "REGEX=TIME", value_parser = JobRule::parse)]
    jobs: Vec<JobRule>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    safety: SafetyArgs,
    #[command(flatten)]
    gateways: GatewayArgs,
}

impl ExpireArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let limits = Rules { after: self.after, jobs: self.jobs };
        ensure!(
            limits.after.is_some() || !limits.jobs.is_empty(),
            BadInput("nothing expires; give --after TIME, --job REGEX=TIME, or both".to_owned())
        );
        let source = self.fleet.source()?;
        let report = if self.dry_run {
            let fleet = source.read()?;
            rules::dry_run(&fleet, &Gateways::new(&self.gateways, fleet.router.config())?, &limits)
        } else {
            let mut safety = SafetyCheck::new(&self.safety, source)?;
            let fleet = safety.wait_until_settled(output::settling)?;
            let gateways = Gateways::new(&self.gateways, fleet.router.config())?;
            let bar = output::progress("deleting");
            let report = rules::pass(&fleet, &gateways, &safety, &limits, output::advance(&bar));
            bar.finish_and_clear();
            report
        };
        output::show(self.output, &report, report::text)?;
        Ok(ExitStatus::found(report.is_unfinished()))
    }
}
