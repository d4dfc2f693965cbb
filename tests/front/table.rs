//! The table of differences in docs/differences.md.

use std::fs;

use pushring_harness::tools;

/// A row: requests with the same results.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) requests: Vec<String>,
    pub(crate) gateway: String,
    pub(crate) routed: String,
    /// `None` if redirect mode does not differ.
    pub(crate) redirect: Option<String>,
}

/// Reads the table whose first column is `request`.
pub(crate) fn rows() -> Vec<Row> {
    let text = fs::read_to_string(tools::repository().join("docs/differences.md")).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("| request "));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let [requests, gateway, routed, redirect, why] = cells[..] else { panic!("not 5 cells: {line}") };
    assert!(!why.is_empty(), "no reason: {line}");
    Row {
        requests: requests.split("<br>").map(str::to_owned).collect(),
        gateway: gateway.to_owned(),
        routed: routed.to_owned(),
        redirect: Some(redirect.to_owned()).filter(|text| text != "same"),
    }
}
