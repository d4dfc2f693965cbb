//! Pushes through Envoy: the catalogue has each of their series with its owner and group.

use std::collections::BTreeSet;

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, MetricIndex, Mode, every_type, poll_until};
use serde_json::{Value, json};

use crate::fixture::{data, ingress, series, wait};

const TEXT: &str = "# TYPE bytes histogram\nbytes_bucket{le=\"+Inf\"} 1\nbytes_sum 2\nbytes_count 1\n";
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// An index that records a push again when it comes a second later.
fn index(dir: &tempfile::TempDir) -> MetricIndex {
    let config = json!({"metric_store": {"cache": {"default_expire": 1}}});
    MetricIndex::start(dir.path(), "index", &config).unwrap()
}

/// Counts the series of a group that its owner shows, without those of native histograms: its text has a bucket, a sum and
/// a count for each, and the catalogue one series, as Prometheus.
fn held(fleet: &EnvoyFixture, path: &str, job: &str) -> usize {
    let text = fleet.gateways[fleet.owner(path)].metrics().unwrap();
    let of_group = |line: &&str| {
        line.contains(&format!("job=\"{job}\"")) && !line.starts_with('#') && !line.starts_with("native")
    };
    text.lines().filter(of_group).count()
}

#[test]
fn a_push_is_known_with_its_owner_group_and_sender() {
    for mode in Mode::ROUTED {
        let dir = tempfile::tempdir().unwrap();
        let index = index(&dir);
        let fleet = ingress(mode, index.address, index.address);
        let client = fleet.envoy.client().unwrap();
        // A client cannot name another owner or sender.
        let forged = [("x-pushring-destination", "pushgateway-forged"), ("x-pushring-sender", "forged")];
        for n in 0..8 {
            let path = format!("/metrics/job/backup/instance/{n}");
            assert_eq!(client.send("PUT", &path, &forged, TEXT).unwrap().status, 200);
            wait(&index, &format!("bytes_bucket{{job=\"backup\",instance=\"{n}\",le=\"+Inf\"}}"));
        }
        let found = data(&index, "/api/v1/series?details=true&match[]=bytes_count");
        let owners: BTreeSet<_> =
            found.as_array().unwrap().iter().map(|one| one["sources"][0]["owner"].to_string()).collect();
        assert_eq!(owners.len(), 2, "{mode}: both gateways own groups");
        for one in found.as_array().unwrap() {
            let instance = one["labels"]["instance"].as_str().unwrap();
            let owner = fleet.owner(&format!("/metrics/job/backup/instance/{instance}"));
            let expected = json!({
                "kind": "push", "owner": fleet.gateways[owner].address, "sender": "127.0.0.1",
                "job": format!("job=\"backup\",instance=\"{instance}\""),
            });
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!(&one["sources"][0][name], value, "{mode}: {one}");
            }
            assert_eq!(one["sources"].as_array().unwrap().len(), 1, "{mode}: {one}");
        }
        assert_eq!(data(&index, "/api/v1/conflicts"), json!([]), "{mode}");
    }
}

#[test]
fn a_group_on_two_gateways_is_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(&dir);
    let fleet = ingress(Mode::Cluster, index.address, index.address);
    let client = fleet.envoy.client().unwrap();
    let path = "/metrics/job/backup/instance/a";
    let owner = fleet.gateways[fleet.owner(path)].address.to_string();
    // Another Envoy, with another ring, sends the group to another gateway in turn.
    let headers = [("x-pushring-destination", "pushgateway-10.9.9.9:9091")];
    let split = || {
        let other = Client::new(index.address).unwrap();
        assert_eq!(other.send("PUT", path, &headers, TEXT).unwrap().status, 202);
        assert_eq!(client.put(path, TEXT).unwrap().status, 200);
        let conflicts: Value = data(&index, "/api/v1/conflicts");
        (conflicts != json!([])).then_some(conflicts.to_string())
    };
    let conflicts = poll_until("the conflict", split).unwrap();
    assert!(conflicts.contains("10.9.9.9:9091") && conflicts.contains(&owner), "{conflicts}");
}

#[test]
fn each_type_and_format_has_the_series_that_the_gateway_shows() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(&dir);
    let fleet = ingress(Mode::Endpoint, index.address, index.address);
    let client = fleet.envoy.client().unwrap();
    for (job, headers, body) in [
        ("text", vec![], TEXT.as_bytes().to_vec()),
        ("protobuf", vec![("content-type", PROTOBUF)], every_type::every_type().concat()),
    ] {
        let path = format!("/metrics/job/{job}");
        assert_eq!(client.send("PUT", &path, &headers, body).unwrap().status, 200, "{job}");
        let selector = format!("{{job=\"{job}\",__name__!=\"native\"}}");
        wait(&index, &selector);
        assert_eq!(series(index.address, &selector).len(), held(&fleet, &path, job), "{job}");
    }
    assert_eq!(
        series(index.address, "native{job=\"protobuf\"}").len(),
        3,
        "native histograms are one series each"
    );
}
