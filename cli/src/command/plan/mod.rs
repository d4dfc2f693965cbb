//! `pushring plan`.

mod change;
mod chart;
mod diff;
mod svg;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::error::{BadInput, ExitStatus, NotSafe};
use crate::file::{self, Input};
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Survey, locate};
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::output::{self, Output};
use crate::text;
use anyhow::{Context, anyhow, ensure};
use change::ChangeArgs;
use diff::{Counter, RingDiff};
use pushring_router::{RouteBy, Router};

/// Show which groups a change of members or settings would move
///
/// Compares two configurations, or one with and without a change (--add, --remove, --weight): each member's share before and after, the share of groups that get another owner, and
/// the flows between members. Members are compared by name. With --groups or --live, the groups that move are also
/// counted. Changes nothing.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pushring plan --from live/ring.yaml --add 10.0.0.4:9091 --remove 10.0.0.1:9091
  pushring plan --from live/ring.yaml --weight 10.0.0.2:9091=3 --live
  pushring plan --from live/ring.yaml --to staged/ring.yaml
  pushring plan --from now.json --to with-four.json --live --svg plan.svg
  cut -d ' ' -f 7 access.log | grep /metrics/job/ | sort -u | pushring plan --from now.json --to next.json --groups -")]
pub(crate) struct PlanArgs {
    /// The configuration before: the filter's JSON, or an Envoy ring file that contains it
    #[arg(long, visible_alias = "config", value_name = "FILE")]
    from: PathBuf,
    /// The configuration after
    #[arg(long, value_name = "FILE", conflicts_with_all = ["add", "remove", "weight"])]
    to: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeArgs,
    /// Count these groups: a file with one push path per line; - for standard input. A repeated path counts again
    #[arg(long, value_name = "FILE", conflicts_with = "live")]
    groups: Option<PathBuf>,
    /// Count the groups that the Pushgateways of --from hold now; all of them must answer
    #[arg(long)]
    live: bool,
    /// Draw both rings and the shares to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    gateways: GatewayArgs,
}

impl PlanArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        ensure!(
            self.to.is_some() || !self.change.is_empty(),
            BadInput(
                "--to: found no change of --from, expected --to FILE, --add, --remove or --weight".to_owned()
            )
        );
        let from = Fleet::from_file(&self.from).context("--from")?;
        let to = match &self.to {
            Some(to) => Fleet::from_file(to).context("--to")?.router,
            None => self.change.apply(&self.from, &from.router)?,
        };
        let mut counter = Counter::new(&from.router, &to);
        if let Some(path) = &self.groups {
            count_lines(path, &mut counter)?;
        }
        if self.live {
            self.count_live(&from, &to, &mut counter)?;
        }
        let counted = self.live || self.groups.is_some();
        let plan = RingDiff::new(&from.router, &to, counted.then_some(&counter));
        if let Some(path) = &self.svg {
            let name = || format!("--svg: {}", text::path(path));
            let mut file = file::open_to_write(File::options().write(true).create(true).truncate(true), path)
                .with_context(|| BadInput(name()))?;
            file.write_all(svg::draw(&plan, &from.router, &to).as_bytes()).with_context(name)?;
        }
        match self.output {
            Output::Table => output::print(chart::text(&plan))?,
            Output::Json => output::print_json(&plan)?,
        }
        Ok(ExitStatus::Done)
    }

    /// Counts the groups of all gateways. A gateway that cannot be read is an error, because the counts would be too low.
    fn count_live(&self, from: &Fleet, to: &Router, counter: &mut Counter<'_>) -> anyhow::Result<()> {
        for (flag, router) in [("--from", &from.router), ("--to", to)] {
            let by_path = router.config().route_by == RouteBy::Path;
            let advice = "a group has several owners there; pass push paths with --groups";
            ensure!(!by_path, NotSafe(format!("{flag}: route_by is path: {advice}")));
        }
        let survey: Survey = Survey::read(&Gateways::new(&self.gateways, from)?, from);
        // A group on two gateways counts once.
        let mut distinct = BTreeSet::new();
        for surveyed in &survey.gateways {
            let (name, address) = (surveyed.gateway.name(), surveyed.gateway.address());
            let groups = surveyed.groups().map_err(|reason| anyhow!("{name} ({address}): {reason}"))?;
            distinct.extend(groups.all.iter().map(|group| &group.labels));
        }
        for labels in distinct {
            counter.add(
                locate(&from.router, labels).map(|location| location.path).unwrap_or_default().as_bytes(),
            );
        }
        Ok(())
    }
}

fn count_lines(path: &Path, counter: &mut Counter<'_>) -> anyhow::Result<()> {
    let mut input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(
            Input::stream(path).with_context(|| BadInput(format!("--groups: {}", text::path(path))))?,
        ))
    };
    let mut line = Vec::new();
    while file::read_line(&mut input, &mut line)
        .with_context(|| BadInput(format!("--groups: {}", text::path(path))))?
        > 0
    {
        counter.add(line.trim_ascii_end());
        line.clear();
    }
    Ok(())
}
