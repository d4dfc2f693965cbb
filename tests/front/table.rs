//! The tables in docs/differences.md.

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

/// A limit and its settings.
#[derive(Debug)]
pub(crate) struct Limit {
    /// As in the shipped files: `key: value`.
    pub(crate) settings: Vec<String>,
    /// The result over the limit.
    pub(crate) over: String,
}

/// Reads the table of differences.
pub(crate) fn rows() -> Vec<Row> {
    lines("| request ").iter().map(|line| row(line)).collect()
}

/// Reads the table of limits.
pub(crate) fn limits() -> Vec<Limit> {
    lines("| limit ").iter().map(|line| limit(line)).collect()
}

/// Returns the rows of the table whose header begins with `start`.
fn lines(start: &str) -> Vec<String> {
    let text = fs::read_to_string(tools::repository().join("docs/differences.md")).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with(start));
    lines.skip(2).take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

fn limit(line: &str) -> Limit {
    let [_, _, over, settings] = cells(line)[..] else { panic!("not 4 cells: {line}") };
    let settings = settings.split(", ").map(|setting| setting.trim_matches('`').to_owned()).collect();
    Limit { settings, over: over.to_owned() }
}

fn row(line: &str) -> Row {
    let [requests, gateway, routed, redirect, why] = cells(line)[..] else { panic!("not 5 cells: {line}") };
    assert!(!why.is_empty(), "no reason: {line}");
    Row {
        requests: requests.split("<br>").map(str::to_owned).collect(),
        gateway: gateway.to_owned(),
        routed: routed.to_owned(),
        redirect: Some(redirect.to_owned()).filter(|text| text != "same"),
    }
}
