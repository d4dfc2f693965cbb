//! Envoy with patches of examples/observability/, in front of Pushgateways, metric-index and a target of remote writes.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use pushring_harness::http::{Client, encode};
use pushring_harness::{EnvoyFixture, MetricIndex, Mode, poll_until};
use serde_json::Value;

/// Starts Envoy with copies of pushes and writes to `index`, and writes to `target`.
pub(crate) fn ingress(mode: Mode, index: SocketAddr, target: SocketAddr) -> EnvoyFixture {
    let pushes = if mode == Mode::Endpoint { "index-endpoint-pushes" } else { "index-pushes" };
    let edits = [(shipped(7001), at(index)), (shipped(8428), at(target))];
    let edits = edits.each_ref().map(|(from, to)| (from.as_str(), to.as_str()));
    EnvoyFixture::patched(mode, 2, &["index", pushes, "index-writes"], &edits)
}

/// Returns the text of an address in the patches.
pub(crate) fn shipped(port: u16) -> String {
    at(SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Returns the text of an address in a configuration of Envoy.
pub(crate) fn at(address: SocketAddr) -> String {
    format!("address: {}, port_value: {} ", address.ip(), address.port())
}

/// Returns the series that an API like Prometheus' has for a selector, as JSON texts of their labels.
#[track_caller]
pub(crate) fn series(server: SocketAddr, selector: &str) -> BTreeSet<String> {
    let path = format!("/api/v1/series?limit=100000&match[]={}", encode(selector));
    let answer = Client::new(server).unwrap().get(&path).unwrap();
    assert_eq!(answer.status, 200, "{selector}: {}", answer.text());
    let json = answer.json().unwrap();
    assert_eq!(json["warnings"], Value::Null, "{selector}");
    json["data"].as_array().unwrap().iter().map(Value::to_string).collect()
}

/// Waits for a series in the catalogue.
#[track_caller]
pub(crate) fn wait(index: &MetricIndex, selector: &str) {
    let found = || (!series(index.address, selector).is_empty()).then_some(());
    poll_until(&format!("the series {selector}"), found).unwrap();
}

/// Returns the data of an answer of metric-index.
#[track_caller]
pub(crate) fn data(index: &MetricIndex, path: &str) -> Value {
    let answer: Value = serde_json::from_str(&index.get(path).unwrap()).unwrap();
    answer["data"].clone()
}
