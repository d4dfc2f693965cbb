//! The limit of new series a second.

use pushring_harness::http::Client;
use pushring_harness::{MetricIndex, poll_until, remote_write};
use serde_json::json;
use tempfile::tempdir;

use super::send::{found, numbered};

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
