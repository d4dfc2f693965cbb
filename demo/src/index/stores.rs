//! The servers of the distributed engine, and the configuration of metric-index that names them.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use pushring_harness::{Kafka, MariaDb, Process, Redis};
use serde_json::{Value, json};

use crate::screen;

/// Running servers. Dropping it kills them.
pub(super) struct Stores {
    pub(super) redis: Redis,
    pub(super) kafka: Kafka,
    pub(super) mariadb: MariaDb,
}

impl Stores {
    pub(super) fn start(dir: &Path) -> Result<Self> {
        let redis = screen::step("Redis", || Redis::start(dir))?;
        let mariadb = screen::step("MariaDB", || MariaDb::start(dir))?;
        let kafka = screen::step("Kafka", || Kafka::start(dir))?;
        Ok(Self { redis, kafka, mariadb })
    }

    /// Returns the configuration of a role.
    pub(super) fn config(&self, role: &str) -> Value {
        let local = |address: SocketAddr| json!({"host": "127.0.0.1", "port": address.port()});
        let mut mysql = local(self.mariadb.address);
        mysql["db_name"] = json!("metrics");
        json!({
            "app": {"role_type": role},
            "mysql": mysql,
            "redis": local(self.redis.address),
            "metric_store": {
                "producer": {"hosts": [self.kafka.address], "topic": "series"},
                "consumer": {"hosts": [self.kafka.address], "topics": ["series"], "group_id": "workers"},
            },
        })
    }

    pub(super) fn processes(&mut self) -> [(&'static str, &mut Process); 3] {
        [
            ("Redis", self.redis.process()),
            ("Kafka", self.kafka.process()),
            ("MariaDB", self.mariadb.process()),
        ]
    }
}
