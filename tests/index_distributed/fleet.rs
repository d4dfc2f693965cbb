//! Redis and Kafka with the roles of metric-index that use them.

use std::path::Path;

use pushring_harness::remote_write::{self, Series};
use pushring_harness::{Kafka, MetricIndex, Redis, http::Client};
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct Fleet {
    // Fields are dropped in this order: the servers before the folder.
    pub gateway: MetricIndex,
    pub indexer: MetricIndex,
    pub redis: Redis,
    pub kafka: Kafka,
    pub dir: TempDir,
}

impl Fleet {
    pub fn start() -> Self {
        Self::start_with(&json!({}))
    }

    /// Starts everything; the gateway has these sections, too.
    pub fn start_with(more: &Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let redis = Redis::start(dir.path()).unwrap();
        let kafka = Kafka::start(dir.path()).unwrap();
        let mut sections = config("gateway", &redis, &kafka);
        sections.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let gateway = MetricIndex::start(dir.path(), "gateway", &sections).unwrap();
        let indexer = Self::indexer(dir.path(), "indexer", &redis, &kafka);
        Self { gateway, indexer, redis, kafka, dir }
    }

    fn indexer(dir: &Path, name: &str, redis: &Redis, kafka: &Kafka) -> MetricIndex {
        MetricIndex::start(dir, name, &config("indexer", redis, kafka)).unwrap()
    }

    /// Starts a second gateway.
    pub fn another_gateway(&self) -> MetricIndex {
        let sections = config("gateway", &self.redis, &self.kafka);
        MetricIndex::start(self.dir.path(), "gateway-2", &sections).unwrap()
    }

    /// Returns the number of series that the indexer found new.
    pub fn new(&self) -> f64 {
        self.indexer.metric("metric_index_new_series_total").unwrap_or(-1.0)
    }
}

/// The configuration of a role; the names are those of the original.
pub fn config(role: &str, redis: &Redis, kafka: &Kafka) -> Value {
    let local = |port: u16| json!({"host": "127.0.0.1", "port": port});
    json!({
        "app": {"role_type": role},
        "redis": local(redis.address.port()),
        "metric_store": {
            "cache": {"flush_interval": 1},
            "producer": {"hosts": [kafka.address], "topic": "series"},
            "consummer": {"hosts": [kafka.address], "topics": ["series"], "group_id": "workers"},
        },
    })
}

/// Returns series with numbers.
pub fn series(name: &str, numbers: std::ops::Range<usize>) -> Vec<Series> {
    let of = |number: usize| Series {
        labels: vec![
            ("__name__".into(), name.into()),
            ("job".into(), "test".into()),
            ("number".into(), number.to_string()),
        ],
        value: number as f64,
        at: jiff::Timestamp::now().as_millisecond(),
    };
    numbers.map(of).collect()
}

/// Sends series; they must be accepted.
pub fn send(gateway: &MetricIndex, series: &[Series]) {
    let client = Client::new(gateway.address).unwrap();
    let body = remote_write::body(series).unwrap();
    let answer = remote_write::send(&client, "/api/v1/write", body).unwrap();
    assert!(answer.status / 100 == 2, "{} {}", answer.status, answer.text());
}
