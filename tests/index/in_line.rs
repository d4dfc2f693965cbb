//! Writes through metric-index: a sender stays on one of its gateways.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use pushring_harness::remote_write::{self, Series};
use pushring_harness::{EnvoyFixture, MetricIndex, Mode, poll_until};
use serde_json::json;

use crate::fixture::{at, series, shipped};

const SENDERS: u8 = 24;

#[test]
fn a_sender_stays_on_one_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let gateways = ["a", "b"].map(|name| MetricIndex::start(dir.path(), name, &json!({})).unwrap());
    let edits = [(shipped(7001), at(gateways[0].address)), (shipped(7002), at(gateways[1].address))];
    let edits = edits.each_ref().map(|(from, to)| (from.as_str(), to.as_str()));
    let fleet = EnvoyFixture::patched(Mode::Cluster, 1, &["index-in-line"], &edits);
    fleet.envoy.wait_stat("cluster.metric-index-writes.membership_healthy", |healthy| healthy == 2).unwrap();
    for n in 0..3 * SENDERS {
        let sender = format!("127.0.0.{}", 10 + n % SENDERS);
        let labels = [("__name__", "up"), ("n", &n.to_string()), ("sender", &sender)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let file = dir.path().join("body");
        fs::write(&file, remote_write::body(&[Series { labels, value: 1.0, at: 1 }]).unwrap()).unwrap();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail-with-body", "--noproxy", "*", "--interface", &sender]);
        curl.args([
            "--header",
            "Content-Type: application/x-protobuf",
            "--header",
            "Content-Encoding: snappy",
        ]);
        curl.arg("--data-binary").arg(format!("@{}", file.display()));
        let output = curl.arg(format!("http://{}/api/v1/write", fleet.envoy.push)).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let held = poll_until("all series", || {
        let held = gateways.each_ref().map(|gateway| series(gateway.address, "up"));
        (held[0].len() + held[1].len() == usize::from(3 * SENDERS)).then_some(held)
    });
    let held = held.unwrap();
    let mut of: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (gateway, series) in held.iter().enumerate() {
        assert!(!series.is_empty(), "each gateway has senders");
        for labels in series {
            let labels: serde_json::Value = serde_json::from_str(labels).unwrap();
            of.entry(labels["sender"].to_string()).or_default().push(gateway);
        }
    }
    assert_eq!(of.len(), usize::from(SENDERS));
    assert!(of.values().all(|gateways| gateways.iter().all(|one| *one == gateways[0])), "{of:?}");
}
