//! The Grafana dashboard: every query returns data in both modes, and the preview draws every panel.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use pushring_harness::http::{Client, encode};
use pushring_harness::{Mode, machine, poll_until, tools};
use regex::Regex;
use serde_json::Value;

use crate::fleet::Fleet;
use crate::observers::PROMETHEUS;
use crate::shorten;

/// Durations stay as shipped: no alert of a healthy fleet is waited for.
const FACTOR: u64 = 15;
/// Grafana's smallest value with scrapes every 15 seconds.
const WINDOW: &str = "1m";

#[test]
fn shows_a_fleet_in_cluster_mode() {
    machine::isolated("dashboard::shows_a_fleet_in_cluster_mode", || shows_a_fleet(Mode::Cluster));
}

#[test]
fn shows_a_fleet_in_endpoint_mode() {
    machine::isolated("dashboard::shows_a_fleet_in_endpoint_mode", || shows_a_fleet(Mode::Endpoint));
}

#[test]
fn names_alerts_of_the_rules() {
    let rules = shorten::shipped("rules.yml").to_string();
    let known: BTreeSet<String> = Regex::new(r#""alert":"(\w+)""#)
        .unwrap()
        .captures_iter(&rules)
        .map(|found| found[1].to_lowercase())
        .collect();
    let named: BTreeSet<String> = Regex::new(r"docs/runbook\.md#(\w+)")
        .unwrap()
        .captures_iter(&dashboard().to_string())
        .map(|found| found[1].to_owned())
        .collect();
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(named.len() > 10 && unknown.is_empty(), "no alerts: {unknown:?}, of {named:?}");
}

fn shows_a_fleet(mode: Mode) {
    let mut fleet = Fleet::start(mode, FACTOR);
    fleet.start_serve();
    fleet.wait_members(3);
    fleet.observers.wait_history();
    // The annotations show a change.
    fleet.add_gateway(4);
    fleet.wait_members(4);
    for (version, address) in PROMETHEUS {
        let prometheus = Client::new(address.parse().unwrap()).unwrap();
        answers_every_query(version, &prometheus);
        // The preview asks for values at full quarters of a minute.
        let old = || has_data(&prometheus, "pushring_members offset 30s").then_some(());
        poll_until("half a minute of data", old).unwrap();
    }
    draws_every_panel(PROMETHEUS[1].1);
}

fn answers_every_query(version: &str, prometheus: &Client) {
    let dashboard = dashboard();
    for query in queries(&dashboard) {
        let expr = query.replace("$__rate_interval", WINDOW);
        for chosen in [".*", "10.0.0.1:9091"] {
            // A fleet without datacenters, as it is with `All`.
            let expr = expr.replace("$gateway", chosen).replace("$dc", ".*");
            let found = || has_data(prometheus, &expr).then_some(());
            poll_until(&format!("data from Prometheus {version} for {expr}"), found).unwrap();
        }
    }
}

/// Returns the expressions of all panels and annotations, and the series whose labels are the values of the variables.
fn queries(dashboard: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let targets = list(&dashboard["panels"]).into_iter().flat_map(|panel| list(&panel["targets"]));
    let text = |value: &Value| value["expr"].as_str().unwrap().to_owned();
    let mut all: Vec<String> =
        targets.chain(list(&dashboard["annotations"]["list"])).map(|query| text(&query)).collect();
    assert!(all.len() > 40, "only {} queries", all.len());
    let variables = list(&dashboard["templating"]["list"]);
    let values = Regex::new(r"^(?:label_values\((.*), \w+\)|query_result\((.*)\))$").unwrap();
    let series: Vec<String> = variables
        .iter()
        .filter_map(|variable| {
            let found = values.captures(variable["query"].as_str()?)?;
            Some(found.get(1).or(found.get(2))?.as_str().to_owned())
        })
        .collect();
    assert_eq!(series.len(), 2, "{series:?}");
    all.extend(series);
    all
}

fn has_data(prometheus: &Client, expr: &str) -> bool {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = prometheus
        .send("POST", "/api/v1/query", &form, format!("query={}", encode(expr)))
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(answer["status"], "success", "{expr}: {answer}");
    answer["data"]["result"].as_array().unwrap().iter().any(|row| row["value"][1] != "NaN")
}

/// The preview in headless Chromium.
fn draws_every_panel(prometheus: &str) {
    let script = tools::repository().join("target/monitoring/preview/picture.js");
    assert!(script.exists(), "{} is missing: run `make e2e-monitoring`", script.display());
    let dir = tempfile::tempdir().unwrap();
    let picture = dir.path().join("picture.png");
    let mut command = Command::new("node");
    command.arg(script).arg(format!("http://{prometheus}")).arg(&picture).arg("5m");
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["errors"], serde_json::json!([]), "errors of the browser");
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    let drawn = report["panels"].as_array().unwrap();
    let (titles, kinds): (Vec<_>, Vec<_>) = panels.map(|panel| (&panel["title"], &panel["type"])).unzip();
    assert_eq!(drawn.iter().map(|panel| &panel["title"]).collect::<Vec<_>>(), titles);
    for (panel, kind) in drawn.iter().zip(kinds) {
        let text = panel["text"].as_str().unwrap();
        let content = text.strip_prefix(panel["title"].as_str().unwrap()).unwrap_or(text).trim();
        assert!(!content.is_empty() && !content.contains("No data"), "{panel}");
        assert!(kind != "timeseries" || panel["painted"].as_u64() > Some(1000), "{panel}");
    }
    assert!(fs::metadata(picture).unwrap().len() > 10_000);
}

fn dashboard() -> Value {
    let path = tools::repository().join("monitoring/grafana/pushring.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
