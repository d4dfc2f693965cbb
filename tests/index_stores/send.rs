//! Requests, and the catalogue that they lead to.

use pushring_harness::http::{Client, Response, encode};
use pushring_harness::remote_write::{self, Series};
use pushring_harness::{MariaDb, MetricIndex, poll_until};
use serde_json::{Value, json};

pub(crate) fn series(labels: &[(&str, &str)]) -> Series {
    let mut labels: Vec<(String, String)> =
        labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    labels.sort();
    Series { labels, value: 1.5, at: jiff::Timestamp::now().as_millisecond() }
}

/// Returns series with numbers.
pub(crate) fn numbered(name: &str, numbers: std::ops::Range<usize>) -> Vec<Series> {
    let of = |number: usize| series(&[("__name__", name), ("job", name), ("number", &number.to_string())]);
    numbers.map(of).collect()
}

/// Sends series; they must be accepted.
pub(crate) fn write(index: &MetricIndex, series: &[Series]) {
    let client = Client::new(index.address).unwrap();
    let answer = remote_write::send(&client, "/api/v1/write", remote_write::body(series).unwrap()).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.text());
}

pub(crate) fn post(
    index: &MetricIndex,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Response {
    Client::new(index.address).unwrap().send("POST", path, headers, body.into()).unwrap()
}

/// Returns the series of a tenant that match a selector.
pub(crate) fn found(index: &MetricIndex, selector: &str, tenant: &str) -> Vec<Value> {
    let selector = encode(selector);
    let answer =
        index.get(&format!("/api/v1/series?limit=0&details=true&match[]={selector}&tenant={tenant}"));
    let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
    answer["data"].as_array().unwrap().clone()
}

/// Waits until the catalogue has this number of series that match a selector.
pub(crate) fn wait(index: &MetricIndex, selector: &str, number: usize) -> Vec<Value> {
    let all = || Some(found(index, selector, "")).filter(|all| all.len() == number);
    poll_until(&format!("{number} series {selector}"), all).unwrap()
}

/// Returns the section of the database.
pub(crate) fn mysql(mariadb: &MariaDb) -> Value {
    json!({"host": "127.0.0.1", "port": mariadb.address.port(), "db_name": "metrics"})
}
