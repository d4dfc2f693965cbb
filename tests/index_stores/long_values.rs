//! Values above `limits.max_value_bytes`.

use std::collections::BTreeSet;

use pushring_harness::http::Client;
use pushring_harness::remote_write::HEADERS_V2;
use pushring_harness::{MetricIndex, proto};
use serde_json::json;
use tempfile::tempdir;

use super::send::{post, series, wait, write};

/// A request of remote write 2.0 with one series.
fn version_2(labels: &[(&str, &str)]) -> Vec<u8> {
    let symbols = labels.iter().flat_map(|(name, value)| [*name, *value]);
    let mut plain: Vec<u8> =
        [""].into_iter().chain(symbols).flat_map(|symbol| proto::bytes(4, symbol)).collect();
    let refs: Vec<u8> = (1..=2 * labels.len() as u8).collect();
    let at = jiff::Timestamp::now().as_millisecond();
    plain.extend(proto::message(
        5,
        &[proto::bytes(1, refs), proto::bytes(2, [proto::double(1, 1.0), proto::int(2, at)].concat())],
    ));
    snap::raw::Encoder::new().compress_vec(&plain).unwrap()
}

#[test]
fn long_values_of_each_protocol_are_cut_and_stay_apart() {
    let dir = tempdir().unwrap();
    let index = MetricIndex::start(dir.path(), "index", &json!({})).unwrap();
    let client = Client::new(index.address).unwrap();
    let long = "ä".repeat(3000);
    let [one, two] = [format!("{long}1"), format!("{long}2")];
    for value in [&one, &two] {
        let labels = [("__name__", "long_write"), ("a", value.as_str())];
        write(&index, &[series(&labels)]);
        // The same series in both versions.
        let answer = client.send("POST", "/api/v1/write", &HEADERS_V2, version_2(&labels)).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.text());
        let only = [("__name__", "long_write_2"), ("a", value.as_str())];
        let answer = client.send("POST", "/api/v1/write", &HEADERS_V2, version_2(&only)).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.text());
        let put = json!({"metric": "long_put", "timestamp": 1_700_000_000, "value": 1, "tags": {"a": value}});
        let answer = post(&index, "/api/v1/metrics", &[], put.to_string());
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    let push = format!("long_push{{a=\"{one}\"}} 1\nlong_push{{a=\"{two}\"}} 2\n");
    assert_eq!(post(&index, "/metrics/job/j", &[], push).status, 202);

    for metric in ["long_write", "long_write_2", "long_put", "long_push"] {
        let all = wait(&index, metric, 2);
        let values: BTreeSet<_> = all.iter().map(|series| series["labels"]["a"].as_str().unwrap()).collect();
        assert_eq!(values.len(), 1, "{metric}: both are cut at the same place");
        let value = values.first().unwrap();
        assert!(value.ends_with("ä…") && (4092..=4096).contains(&value.len()), "{metric}: {}", value.len());
    }
}
