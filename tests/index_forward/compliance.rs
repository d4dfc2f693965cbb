//! Prometheus' own tests of a receiver of remote write.

use std::process::Command;

use pushring_harness::{MetricIndex, Prometheus, tools};
use serde_json::json;
use tempfile::tempdir;

use super::fixture::index;

/// Number of its tests.
const TESTS: usize = 39;

fn passes(index: &MetricIndex) {
    let dir = tempdir().unwrap();
    let file = dir.path().join("receivers.yaml");
    let receiver = json!({"name": "metric-index", "url": format!("http://{}/api/v1/write", index.address)});
    std::fs::write(&file, json!({"remote_write": [receiver]}).to_string()).unwrap();
    let mut command = Command::new(tools::index("remote-write-compliance").unwrap());
    let output = command.arg("-test.v").env("PROMETHEUS_RW2_COMPLIANCE_CONFIG_FILE", &file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let results = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert!(output.status.success(), "{text}");
    assert_eq!(
        [results("--- PASS: "), results("--- FAIL: "), results("--- SKIP: ")],
        [TESTS, 0, 0],
        "{text}"
    );
}

#[test]
fn an_index_that_only_listens() {
    let dir = tempdir().unwrap();
    passes(&MetricIndex::start(dir.path(), "index", &json!({})).unwrap());
}

#[test]
fn in_front_of_prometheus() {
    let dir = tempdir().unwrap();
    let prometheus = Prometheus::receiver(dir.path()).unwrap();
    let url = format!("http://{}/api/v1/write", prometheus.address);
    let (index, _dir) = index(&url, &json!({"protocol": 2}));
    passes(&index);
}
