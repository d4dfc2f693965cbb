//! `metric-index owners`.

use anyhow::Result;
use serde_json::Value;

use super::ask::{Ask, items, number, text};
use crate::error::ExitStatus;
use crate::output::{Output, print, print_json, table, time};

/// List the pushgateways and protocols that series come from
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 no answer; 2 wrong usage.

Example: metric-index owners 'backup_duration_seconds'")]
pub(crate) struct OwnersArgs {
    /// Only series that match these selectors of PromQL
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    ask: Ask,
}

impl OwnersArgs {
    pub(crate) fn run(self) -> Result<ExitStatus> {
        let parameters = self.selectors.into_iter().map(|selector| ("match[]", selector)).collect();
        let answer = self.ask.ask("owners", &parameters)?;
        match self.ask.output {
            Output::Json => print_json(&answer)?,
            Output::Table => print(report(&answer))?,
        }
        Ok(ExitStatus::Done)
    }
}

fn report(answer: &Value) -> String {
    let row = |owner: &Value| {
        let counts = ["series", "groups", "senders"].map(|name| number(&owner[name]));
        let mut row = vec![text(&owner["kind"]), text(&owner["owner"])];
        row.extend(counts);
        row.push(time(&owner["last_seen"]));
        row
    };
    let header = ["KIND", "OWNER", "SERIES", "GROUPS", "SENDERS", "LAST SEEN (UTC)"];
    match items(&answer["data"]) {
        [] => "no series".to_owned(),
        owners => table(&header, &[2, 3, 4], owners.iter().map(row)),
    }
}
