//! A metric-index with series of remote writes and pushes.

use pushring_harness::http::Client;
use pushring_harness::remote_write::{self, Series};
use pushring_harness::{MetricIndex, poll_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;

pub(crate) struct Catalogue {
    pub(crate) index: MetricIndex,
    client: Client,
    _dir: TempDir,
}

impl Catalogue {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = json!({"metric_store": {"cache": {"default_expire": 1}}});
        let index = MetricIndex::start(dir.path(), "index", &config).unwrap();
        Self { client: Client::new(index.address).unwrap(), index, _dir: dir }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.index.address)
    }

    /// Writes series of a tenant and waits until they are in the catalogue.
    pub(crate) fn write(&self, tenant: &str, series: &[&[(&str, &str)]]) {
        let before = self.count(tenant);
        let one = |labels: &&[(&str, &str)]| {
            let mut labels: Vec<_> =
                labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            labels.sort();
            Series { labels, value: 1.0, at: jiff::Timestamp::now().as_millisecond() }
        };
        let body = remote_write::body(&series.iter().map(one).collect::<Vec<_>>()).unwrap();
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-scope-orgid", tenant),
        ];
        let answer = self.client.send("POST", "/api/v1/write", &headers, body).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.text());
        let done = || (self.count(tenant) == before + series.len() as u64).then_some(());
        poll_until("the series in the catalogue", done).unwrap();
    }

    /// Sends the copy of a push as Envoy does.
    pub(crate) fn push(&self, path: &str, owner: &str, body: &str) {
        let destination = format!("pushgateway-{owner}");
        let headers = [("x-pushring-destination", destination.as_str()), ("x-pushring-sender", "10.0.4.7")];
        let answer = self.client.send("PUT", path, &headers, body.to_owned()).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text());
    }

    /// Pushes a group to two owners in turn until it is a conflict.
    pub(crate) fn split(&self, path: &str) {
        let found = || {
            for owner in ["10.0.0.1:9091", "10.0.0.2:9091"] {
                self.push(path, owner, "# TYPE rows gauge\nrows{table=\"orders\"} 1\n");
            }
            let answer: Value = self.client.get("/api/v1/conflicts").ok()?.json().ok()?;
            (answer["data"] != json!([])).then_some(())
        };
        poll_until("the conflict", found).unwrap();
    }

    fn count(&self, tenant: &str) -> u64 {
        let headers = [("x-scope-orgid", tenant)];
        let answer = self.client.send("GET", "/api/v1/status/tsdb", &headers, "").unwrap().json().unwrap();
        answer["data"]["totalSeries"].as_u64().unwrap()
    }
}
