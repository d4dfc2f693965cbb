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

/// Delete groups whose last push is older than a given time
///
/// Ages use the clock of the gateway that stores the group. A rejected push counts as a push. A group with an unknown
/// age (no push was ever accepted, labels are not UTF-8, …) is never deleted, but listed.
///
/// Right before each batch of deletions, the members, the Envoys and the gateways are read again; a group that was
/// pushed in the meantime is kept. A push within the second between that check and the deletion is lost.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 no group is due any more; 1 a group that is due or has an unknown age was kept, or a gateway on the ring
cannot be read (with --dry-run: or a group would be deleted); 2 wrong usage, invalid configuration, or not safe to run.

Examples:
  pushring expire --config live/ring.yaml --after 24h --dry-run
  pushring expire --config live/ring.yaml --after 24h --job 'backup-.*=8d' \\
    --job 'inventory=never'
  pushring expire --config live/ring.yaml --job 'ci-.*=1h' --output json")]
pub(crate) struct ExpireArgs {
    /// Delete groups whose last push is older than this. Default: only the jobs of --job expire
    #[arg(long, value_name = "TIME", value_parser = rules::limit)]
    after: Option<Duration>,
    /// Override the expiry time for jobs whose full name matches REGEX; `never` disables expiry. Repeatable; the first
    /// match wins. The time begins after the last =
    #[arg(long = "job", value_name = "REGEX=TIME", value_parser = JobRule::parse)]
    jobs: Vec<JobRule>,
    /// Show what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Output format
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
            BadInput("no expiry time; pass --after TIME, --job REGEX=TIME, or both".to_owned())
        );
        let source = self.fleet.source()?;
        let report = if self.dry_run {
            let fleet = source.read()?;
            rules::dry_run(&fleet, &Gateways::new(&self.gateways, &fleet)?, &limits)
        } else {
            let mut safety = SafetyCheck::new(&self.safety, source)?;
            let fleet = safety.wait_until_settled(output::settling)?;
            let gateways = Gateways::new(&self.gateways, &fleet)?;
            let bar = output::progress("deleting");
            let report = rules::pass(&fleet, &gateways, &safety, &limits, output::advance(&bar));
            bar.finish_and_clear();
            report
        };
        output::show(self.output, &report, report::text)?;
        Ok(ExitStatus::found(report.is_unfinished()))
    }
}
