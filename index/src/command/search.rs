//! `metric-index search`, `new` and `gone`: lists of series.

use anyhow::Result;
use serde_json::Value;

use super::ask::{Ask, Parameters, items, number, text};
use crate::error::ExitStatus;
use crate::output::{Output, number_of_series, print, print_json, series, time};

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
        lines.push(format!("  {} to {} UTC{shown}{more}", time(&one["first_seen"]), time(&one["last_seen"])));
    }
    let total = answer["summary"]["total"].as_i64();
    let more = if answer["cursor"].is_string() { "; --limit 0 lists all" } else { "" };
    let shown = number_of_series(all.len());
    lines.push(match total {
        Some(total) if total > all.len() as i64 => format!("{shown} of {total}{more}"),
        _ => format!("{shown}{more}"),
    });
    let by_metric = items(&answer["summary"]["by_metric"]);
    if by_metric.len() > 1 {
        lines.push("all of them by metric:".to_owned());
    }
    for metric in by_metric.iter().filter(|_| by_metric.len() > 1) {
        lines.push(format!("{:>9}  {}", number(&metric["value"]), crate::text::line(&text(&metric["name"]))));
    }
    lines.join("\n")
}

fn origin(source: &Value) -> String {
    let owner = text(&source["owner"]);
    let name = if owner.is_empty() { text(&source["sender"]) } else { owner };
    crate::text::line(&format!("{} {name}", text(&source["kind"]))).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_say_how_much_they_show() {
        let source = |owner: &str| json!({"kind": "push", "owner": owner, "sender": "::1"});
        let one = json!({
            "labels": {"__name__": "up", "job": "a\u{1b}[31m"}, "first_seen": 0, "last_seen": 61_000,
            "sources": [source("gateway-1"), source("gateway-2")],
        });
        let summary = |total: u64| json!({"total": total, "by_metric": [{"name": "up", "value": 2}, {"name": "a", "value": 1}]});
        let text = "up{job=\"a\\u001b[31m\"}\n  1970-01-01 00:00:00 to 1970-01-01 00:01:01 UTC  push gateway-1 and 1 more\n";
        let by_metric = "\nall of them by metric:\n        2  up\n        1  a";
        for (answer, end) in [
            (json!({"data": [one]}), "1 series"),
            (json!({"data": [one], "cursor": "7"}), "1 series; --limit 0 lists all"),
            (
                json!({"data": [one], "cursor": "7", "summary": summary(3)}),
                &format!("1 series of 3; --limit 0 lists all{by_metric}"),
            ),
        ] {
            assert_eq!(report(&answer), format!("{text}{end}"));
        }
        assert_eq!(report(&json!({"data": [], "summary": {"total": 0, "by_metric": []}})), "no series");
    }
}
