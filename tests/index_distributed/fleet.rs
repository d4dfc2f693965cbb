//! Redis, Kafka and MariaDB with the roles of metric-index that use them.

use pushring_harness::remote_write::{self, Series};
use pushring_harness::{Kafka, MariaDb, MetricIndex, Redis, http::Client};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct Fleet {
    // Fields are dropped in this order: the servers before the folder.
    pub(crate) gateway: MetricIndex,
    pub(crate) indexer: MetricIndex,
    pub(crate) redis: Redis,
    pub(crate) kafka: Kafka,
    pub(crate) mariadb: MariaDb,
    pub(crate) dir: TempDir,
}

impl Fleet {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let redis = Redis::start(dir.path()).unwrap();
        let mariadb = MariaDb::start(dir.path()).unwrap();
        let kafka = Kafka::start(dir.path()).unwrap();
        let sections = config("gateway", &redis, &kafka, &mariadb);
        let gateway = MetricIndex::start(dir.path(), "gateway", &sections).unwrap();
        let indexer =
            MetricIndex::start(dir.path(), "indexer", &config("indexer", &redis, &kafka, &mariadb)).unwrap();
        Self { gateway, indexer, redis, kafka, mariadb, dir }
    }

    /// Starts a second gateway.
    pub(crate) fn another_gateway(&self) -> MetricIndex {
        let sections = config("gateway", &self.redis, &self.kafka, &self.mariadb);
        MetricIndex::start(self.dir.path(), "gateway-2", &sections).unwrap()
    }

    /// Returns the number of series that the indexer found new.
    pub(crate) fn recorded(&self) -> f64 {
        self.indexer.metric("metric_index_new_series_total").unwrap_or(-1.0)
    }
}

/// The configuration of a role; the names are those of the original.
pub(crate) fn config(role: &str, redis: &Redis, kafka: &Kafka, mariadb: &MariaDb) -> Value {
    let local = |port: u16| json!({"host": "127.0.0.1", "port": port});
    let mut mysql = local(mariadb.address.port());
    mysql["db_name"] = json!("metrics");
    json!({
        "app": {"role_type": role},
        "mysql": mysql,
        "redis": local(redis.address.port()),
        "metric_store": {
            "cache": {"flush_interval": 1},
            "producer": {"hosts": [kafka.address], "topic": "series"},
            "consummer": {"hosts": [kafka.address], "topics": ["series"], "group_id": "workers"},
        },
    })
}

/// Returns series with numbers.
pub(crate) fn series(name: &str, numbers: std::ops::Range<usize>) -> Vec<Series> {
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
pub(crate) fn send(gateway: &MetricIndex, series: &[Series]) {
    let client = Client::new(gateway.address).unwrap();
    let body = remote_write::body(series).unwrap();
    let answer = remote_write::send(&client, "/api/v1/write", body).unwrap();
    assert!(answer.status / 100 == 2, "{} {}", answer.status, answer.text());
}
