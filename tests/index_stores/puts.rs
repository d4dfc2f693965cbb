//! Puts of OpenTSDB: into the index, and on to VictoriaMetrics.

use std::io::Write;

use pushring_harness::{MetricIndex, VictoriaMetrics, poll_until};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::send::{found, post, series, wait, write};

fn put(metric: &str, job: &str, value: f64) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({"metric": metric, "timestamp": now, "value": value, "tags": {"job": job}})
}

fn config(victoria: &VictoriaMetrics) -> Value {
    let url = format!("http://{}/api/put", victoria.opentsdb);
    json!({"remote": {"send": {"url": url, "convert": true, "timeout": 10}}})
}

/// Waits until a query at the target has this result.
fn wait_at(victoria: &VictoriaMetrics, query: &str, value: &str) {
    let is_there = || (victoria.query(query).ok()?.first()?["value"][1] == value).then_some(());
    poll_until(&format!("{query} = {value} at the target"), is_there).unwrap();
}

#[test]
fn each_form_is_read_and_each_error_has_its_place() {
    let dir = tempdir().unwrap();
    let index = MetricIndex::start(dir.path(), "index", &json!({})).unwrap();
    let post = |path: &str, body: &Value| post(&index, path, &[], body.to_string());
    for (path, body) in [
        ("/api/v1/metrics", put("one", "a", 1.0)),
        ("/api/v1/metrics/", json!({"timeseries": [put("original", "a", 1.0)]})),
        ("/api/put", json!([put("array", "a", 1.0), put("array", "b", 1.0)])),
    ] {
        let answer = post(path, &body);
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    wait(&index, "one", 1);
    wait(&index, "original", 1);
    let all = wait(&index, "array", 2);
    assert_eq!(all[0]["sources"][0]["kind"], "put");
    assert_eq!(all[1]["sources"][0]["job"], "b");

    let answer = post(
        "/api/v1/metrics",
        &json!([put("good", "a", 1.0), {"metric": "bad", "timestamp": 1, "value": "x"}]),
    );
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("put 1: value: expected a finite number, found \"x\""),
        "{}",
        answer.text()
    );
    wait(&index, "good", 1);
    assert_eq!(post("/api/v1/metrics", &json!("text")).status, 400);
    assert!(found(&index, "bad", "").is_empty());
}

#[test]
fn puts_and_converted_writes_arrive_at_victoriametrics() {
    let dir = tempdir().unwrap();
    let victoria = VictoriaMetrics::start(dir.path()).unwrap();
    let index = MetricIndex::start(dir.path(), "index", &config(&victoria)).unwrap();
    let many: Vec<_> =
        (0..2_500).map(|number| put(&format!("many_{number}"), "a", f64::from(number))).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(Value::from(many).to_string().as_bytes()).unwrap();
    let answer = post(&index, "/api/v1/metrics", &[("content-encoding", "gzip")], gzip.finish().unwrap());
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(index.metric("metric_index_puts_sent_total").unwrap(), 2_500.0, "answered after the target");
    wait_at(&victoria, "many_2499{job=\"a\"}", "2499");
    wait_at(&victoria, "count({__name__=~\"many_.*\"})", "2500");
    wait(&index, "{job=\"a\"}", 2_500);

    write(&index, &[series(&[("__name__", "written"), ("job", "w"), ("odd", "ä\"\\")])]);
    wait_at(&victoria, "written{job=\"w\"}", "1.5");
    let labels = victoria.series("written").unwrap();
    assert_eq!(labels, [json!({"__name__": "written", "job": "w", "odd": "ä\"\\"})]);
}

#[test]
fn a_target_that_is_away_gets_everything_later() {
    let dir = tempdir().unwrap();
    let mut victoria = VictoriaMetrics::start(dir.path()).unwrap();
    let mut settings = config(&victoria);
    settings["remote"]["send"]["timeout"] = json!(5);
    let index = MetricIndex::start(dir.path(), "index", &settings).unwrap();
    victoria.process.kill();
    let answer = post(&index, "/api/v1/metrics", &[], put("away", "a", 1.0).to_string());
    assert_eq!(answer.status, 503, "the sender keeps it: {}", answer.text());
    assert!(answer.text().contains("the target does not accept puts"), "{}", answer.text());
    // The index has its series all the same, and a write is never held up.
    wait(&index, "away", 1);
    write(&index, &[series(&[("__name__", "converted"), ("job", "w")])]);
    wait(&index, "converted", 1);

    victoria.restart().unwrap();
    wait_at(&victoria, "converted", "1.5");
    poll_until("the repetition", || {
        let answer = post(&index, "/api/v1/metrics", &[], put("away", "a", 2.0).to_string());
        (answer.status == 204).then_some(())
    })
    .unwrap();
    wait_at(&victoria, "away", "2");
}
