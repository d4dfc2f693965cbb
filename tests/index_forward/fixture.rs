//! A metric-index in front of a target that answers as a test says.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use pushring_harness::http::{Client, Response};
use pushring_harness::server::{self, Request};
use pushring_harness::{MetricIndex, poll_until};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use pushring_harness::remote_write::{HEADERS_V1 as V1, HEADERS_V2 as V2};

/// The answer of a target.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<(Script, Vec<Request>)>>,
}

impl Target {
    pub(crate) fn start(status: u16) -> Self {
        let script = Script { status, headers: Vec::new(), body: "" };
        let state = Arc::new(Mutex::new((script, Vec::new())));
        let of = state.clone();
        let answer = move |request: &Request| {
            let (script, requests) = &mut *of.lock().unwrap();
            requests.push(request.clone());
            let mut response = Response { status: script.status, ..Response::ok(script.body) };
            for (name, value) in &script.headers {
                response.headers.insert(*name, value.parse()?);
            }
            Ok(response)
        };
        Self { address: server::serve(answer).unwrap(), state }
    }

    /// Takes another answer, and forgets the requests so far.
    pub(crate) fn answers(&self, status: u16, headers: &[(&'static str, &'static str)], body: &'static str) {
        *self.state.lock().unwrap() = (Script { status, headers: headers.to_vec(), body }, Vec::new());
    }

    /// Returns the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().1)
    }

    /// Returns the only request since the last call.
    pub(crate) fn request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }
}

pub(crate) struct Line {
    // Fields are dropped in this order: the server before the folder.
    pub(crate) index: MetricIndex,
    pub(crate) target: Target,
    pub(crate) dir: TempDir,
}

impl Line {
    /// Starts both; the target answers 204.
    pub(crate) fn start(more: &Value) -> Self {
        let target = Target::start(204);
        let url = target.url();
        let (index, dir) = index(&url, more);
        Self { index, target, dir }
    }

    pub(crate) fn send(&self, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
        send(&self.index, headers, body)
    }
}

/// Starts a metric-index for a target; `more` are further fields of `remote.write`.
pub(crate) fn index(url: &str, more: &Value) -> (MetricIndex, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let index = MetricIndex::start(dir.path(), "index", &config(url, more)).unwrap();
    (index, dir)
}

pub(crate) fn config(url: &str, more: &Value) -> Value {
    let mut write = more.clone();
    write["url"] = json!(url);
    json!({"remote": {"write": write}})
}

/// Gives a server another configuration, whole at once, and makes it read it.
pub(crate) fn configure(index: &mut MetricIndex, dir: &Path, config: &Value) {
    let next = dir.join("next.yaml");
    fs::write(&next, config.to_string()).unwrap();
    fs::rename(next, dir.join("index.yaml")).unwrap();
    index.process().signal(Signal::HUP);
}

pub(crate) fn send(index: &MetricIndex, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    Client::new(index.address).unwrap().send("POST", "/api/v1/write", headers, body).unwrap()
}

/// Waits until the catalogue has this number of series.
pub(crate) fn indexed(index: &MetricIndex, count: usize) {
    let new = || index.metric("metric_index_new_series_total").ok();
    poll_until(&format!("{count} series"), || (new()? >= count as f64).then_some(())).unwrap();
    assert_eq!(new(), Some(count as f64));
}

/// Returns the numbers in an answer to remote write 2.0: samples, histograms, exemplars.
pub(crate) fn written(answer: &Response) -> [Option<u64>; 3] {
    ["samples", "histograms", "exemplars"]
        .map(|name| answer.header(&format!("x-prometheus-remote-write-{name}-written"))?.parse().ok())
}
