//! A running `metric-index serve`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use pushring_harness::http::{Client, Response};
use pushring_harness::process::{self, Process};
use pushring_harness::{poll_until, tools};
use serde_json::Value;

/// The headers of remote write 1.0.
pub(crate) const V1: [(&str, &str); 2] =
    [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];

pub(crate) struct Index {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
}

impl Index {
    /// Starts the server with its data and log in `dir`.
    pub(crate) fn start(dir: &Path) -> Self {
        Self::with(dir, &[])
    }

    /// Starts it with further flags.
    pub(crate) fn with(dir: &Path, flags: &[&str]) -> Self {
        let mut command = process::command(&tools::metric_index().unwrap());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(dir.join("data")).args(flags);
        let log = tempfile::tempdir_in(dir).unwrap().keep();
        let mut process = Process::start("metric-index", command, &log).unwrap();
        let address = process.wait_until("started", |process| address(&process.log())).unwrap();
        Self { process, address, client: Client::new(address).unwrap() }
    }

    /// Sends a remote write 1.0.
    pub(crate) fn write(&self, body: impl Into<Vec<u8>>) -> Response {
        self.client.send("POST", "/api/v1/write", &V1, body.into()).unwrap()
    }

    /// Returns the series that match, as JSON texts of their labels.
    pub(crate) fn series(&self, selector: &str) -> BTreeSet<String> {
        series(&self.client, selector)
    }

    /// Waits for a series.
    pub(crate) fn wait(&self, selector: &str) {
        let found = || (!self.series(selector).is_empty()).then_some(());
        poll_until(&format!("the series {selector}"), found).unwrap();
    }

    /// Returns the data of an answer of the API.
    #[track_caller]
    pub(crate) fn data(&self, path: &str) -> Value {
        let answer = self.client.get(path).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json().unwrap()["data"].take()
    }

    /// Returns the sum of the samples of one of its own metrics.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.client.get("/metrics").unwrap().text();
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.filter_map(value).sum()
    }
}

/// Returns the series of an API like Prometheus' that match, as JSON texts of their labels.
#[track_caller]
pub(crate) fn series(client: &Client, selector: &str) -> BTreeSet<String> {
    let encoded: String = selector.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = client.get(&format!("/api/v1/series?limit=100000&match[]={encoded}")).unwrap();
    assert_eq!(answer.status, 200, "{selector}: {}", answer.text());
    let json = answer.json().unwrap();
    assert_eq!(json["warnings"], Value::Null, "{selector}");
    json["data"].as_array().unwrap().iter().map(Value::to_string).collect()
}

fn address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(r#""url":"http://"#)?;
    rest.split_once('"')?.0.parse().ok()
}
