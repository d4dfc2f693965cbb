//! `metric-index search`, `new` and `gone`: lists of series.

use anyhow::Result;
use serde_json::Value;

use super::ask::{Ask, Parameters, items, number, text};
use crate::error::ExitStatus;
use crate::output::{Output, print, print_json, series, time};

#[derive(clap::Args)]
struct Selection {
    /// Series selectors of PromQL, such as `up{job=~"api|web"}`; a series matches one of them [default: all series]
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Most series to list; 0 lists all
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    ask: Ask,
}

/// List the series that match selectors, with their times and origins
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 no answer; 2 wrong usage.

Examples:
  metric-index search 'http_requests_total{job=\"api\"}'
  metric-index search --seen-since 1h '{__name__=~\"node_.*\"}'
  metric-index search --data metric-index-data --output json")]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    selection: Selection,
    /// Only series seen since a time: a duration before now (`90m`, `7d`), seconds since 1970, or `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME")]
    seen_since: Option<String>,
}

/// List the series that were first seen since a time
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 no answer; 2 wrong usage.

Example: metric-index new --since 2026-01-31T12:00:00Z '{job=\"api\"}'")]
pub(crate) struct NewArgs {
    #[command(flatten)]
    selection: Selection,
    /// A duration before now (`90m`, `7d`), seconds since 1970, or `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: String,
}

/// List the series that were not seen since a time
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 no answer; 2 wrong usage.

Example: metric-index gone --since 7d")]
pub(crate) struct GoneArgs {
    #[command(flatten)]
    selection: Selection,
    /// A duration before now (`90m`, `7d`), seconds since 1970, or `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME", default_value = "1d")]
    since: String,
}

impl SearchArgs {
    pub(crate) fn run(self) -> Result<ExitStatus> {
        let mut parameters = vec![("details", "true".to_owned())];
        parameters.extend(self.seen_since.map(|time| ("seen_since", time)));
        self.selection.show("series", parameters)
    }
}

impl NewArgs {
    pub(crate) fn run(self) -> Result<ExitStatus> {
        self.selection.show("new", vec![("since", self.since)])
    }
}

impl GoneArgs {
    pub(crate) fn run(self) -> Result<ExitStatus> {
        self.selection.show("gone", vec![("since", self.since)])
    }
}

impl Selection {
    fn show(self, path: &str, mut parameters: Parameters) -> Result<ExitStatus> {
        parameters.extend(self.selectors.into_iter().map(|selector| ("match[]", selector)));
        let answer = self.ask.pages(path, &parameters, self.limit)?;
        match self.ask.output {
            Output::Json => print_json(&answer)?,
            Output::Table => print(report(&answer))?,
        }
        Ok(ExitStatus::Done)
    }
}

/// Two lines a series: labels are longer than a column.
fn report(answer: &Value) -> String {
    let all = items(&answer["data"]);
    let mut lines = Vec::new();
    for one in all {
        lines.push(series(&one["labels"]));
        let origins: Vec<_> = items(&one["sources"]).iter().map(origin).collect();
        let shown = origins.first().map(|first| format!("  {first}")).unwrap_or_default();
        let more = if origins.len() > 1 { format!(" and {} more", origins.len() - 1) } else { String::new() };
        lines.push(format!("  {} to {}{shown}{more}", time(&one["first_seen"]), time(&one["last_seen"])));
    }
    let total = answer["summary"]["total"].as_i64();
    let more = if answer["cursor"].is_string() { "; there are more: --limit" } else { "" };
    lines.push(match total {
        Some(total) => format!("{} of {total} series{more}", all.len()),
        None => format!("{} series{more}", all.len()),
    });
    for metric in items(&answer["summary"]["by_metric"]) {
        lines.push(format!("{:>9}  {}", number(&metric["value"]), crate::text::line(&text(&metric["name"]))));
    }
    lines.join("\n")
}

fn origin(source: &Value) -> String {
    let owner = text(&source["owner"]);
    let name = if owner.is_empty() { text(&source["sender"]) } else { owner };
    crate::text::line(&format!("{} {name}", text(&source["kind"]))).into_owned()
}
