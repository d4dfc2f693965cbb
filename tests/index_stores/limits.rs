//! Limits of what clients may send.

use pushring_harness::http::Client;
use pushring_harness::{MetricIndex, poll_until, remote_write};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::send::{found, numbered, post, series};

#[test]
fn a_tenant_above_its_limit_loses_nothing_and_holds_up_no_other() {
    let dir = tempdir().unwrap();
    let config = json!({"limits": {"max_new_series_per_second": 20}});
    let index = MetricIndex::start(dir.path(), "index", &config).unwrap();
    let client = Client::new(index.address).unwrap();
    let send = |tenant: &str, number| {
        let body = remote_write::body(&numbered("flood", 0..number)).unwrap();
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-scope-orgid", tenant),
        ];
        let answer = client.send("POST", "/api/v1/write", &headers, body).unwrap();
        assert_eq!(answer.status, 204, "above the limit, writes are accepted: {}", answer.text());
    };
    send("loud", 200);
    send("quiet", 10);
    poll_until("the quiet tenant", || (found(&index, "flood", "quiet").len() == 10).then_some(())).unwrap();
    let over = index.metric("metric_index_dropped_total{reason=\"tenant limit\"}").unwrap();
    assert!((100.0..200.0).contains(&over), "{over} of 200");
    // Each later request brings more of them, until all are there.
    poll_until("all series", || {
        send("loud", 200);
        (found(&index, "flood", "loud").len() == 200).then_some(())
    })
    .unwrap();
}

#[test]
fn limits_of_a_request_hold_for_each_protocol() {
    let dir = tempdir().unwrap();
    let config = json!({"limits": {"max_labels": 4, "max_name_bytes": 12, "max_series_per_request": 4}});
    let index = MetricIndex::start(dir.path(), "index", &config).unwrap();
    let client = Client::new(index.address).unwrap();
    let write = |series: &[remote_write::Series]| {
        let answer = remote_write::send(&client, "/api/v1/write", remote_write::body(series).unwrap());
        let answer = answer.unwrap();
        (answer.status, answer.text())
    };
    let push = |body: &str| {
        let answer = post(&index, "/metrics/job/j", &[], body);
        (answer.status, answer.text())
    };
    let put = |puts: Value| {
        let answer = post(&index, "/api/put", &[], puts.to_string());
        (answer.status, answer.text())
    };
    let labels = [("__name__", "w"), ("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")];
    let with_tags = |names: &[&str]| {
        let tags: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!("1"))).collect();
        json!({"metric": "m", "timestamp": 1, "value": 1, "tags": tags})
    };
    let one = with_tags(&["a", "b", "c"]);
    for ((status, text), part) in [
        (write(&[series(&labels[..4])]), ""),
        (write(&[series(&labels)]), "more than 4 labels"),
        (write(&[series(&[labels[0], ("longer_than_12", "1")])]), "more than 12 bytes"),
        (write(&numbered("w", 0..5)), "more than 4 series"),
        (push("p{a=\"1\"} 1\n"), ""),
        (push("p{a=\"1\",b=\"1\",c=\"1\",d=\"1\",e=\"1\"} 1\n"), "more than 4 labels"),
        (push("p{a=\"1\"} 1\np{a=\"2\"} 1\np{a=\"3\"} 1\n"), "more than 4 series"),
        (put(one.clone()), ""),
        (put(with_tags(&["a", "b", "c", "d"])), "at most 3 tags"),
        (put(with_tags(&["longer_than_12"])), "a name of 1 to 12 bytes"),
        (put(json!(vec![one; 5])), "up to 4 puts"),
    ] {
        let is_right = if part.is_empty() { status < 300 } else { status == 400 && text.contains(part) };
        assert!(is_right, "{part:?}: {status} {text}");
    }
    // A push is a copy, whose answer nothing reads.
    let bad = || index.metric("metric_index_bad_series_total").unwrap();
    let before = bad();
    assert!(push("p{longer_than_12=\"1\"} 1\n").0 < 300);
    assert_eq!(bad(), before + 1.0);
}
