//! `metric-index conflicts`.

use anyhow::Result;
use serde_json::Value;

use super::ask::{Ask, items, number, text};
use crate::error::ExitStatus;
use crate::output::{Output, print, print_json, series, time};

/// List the groups of pushes that several pushgateways have at the same time
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 there is none; 1 there are conflicts, or no answer; 2 wrong usage.

Example: metric-index conflicts --since 1h")]
pub(crate) struct ConflictsArgs {
    /// Leave out pushgateways that were not seen since: a duration before now (`90m`, `7d`), seconds since 1970, or
    /// `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME", default_value = "1d")]
    since: String,
    /// Most groups to list; 0 lists all
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    ask: Ask,
}

impl ConflictsArgs {
    pub(crate) fn run(self) -> Result<ExitStatus> {
        let answer = self.ask.pages("conflicts", &vec![("since", self.since)], self.limit)?;
        match self.ask.output {
            Output::Json => print_json(&answer)?,
            Output::Table => print(report(&answer))?,
        }
        let is_found = answer["summary"]["total"].as_i64().is_some_and(|total| total > 0);
        Ok(if is_found { ExitStatus::Found } else { ExitStatus::Done })
    }
}

fn report(answer: &Value) -> String {
    let mut lines = Vec::new();
    for group in items(&answer["data"]) {
        let name = text(&group["group"]);
        lines.push(
            crate::text::line(&format!("{{{name}}}: {} series", number(&group["series"]))).into_owned(),
        );
        for owner in items(&group["owners"]) {
            let (first, last) = (time(&owner["first_seen"]), time(&owner["last_seen"]));
            lines.push(format!("  {}  {first} to {last} UTC", crate::text::line(&text(&owner["owner"]))));
        }
        lines.extend(
            items(&group["examples"]).iter().take(1).map(|labels| format!("  such as {}", series(labels))),
        );
    }
    lines.push(match answer["summary"]["total"].as_i64().unwrap_or_default() {
        0 => "no group is on several pushgateways".to_owned(),
        1 => "1 group is on several pushgateways".to_owned(),
        total => format!("{total} groups are on several pushgateways"),
    });
    lines.join("\n")
}
