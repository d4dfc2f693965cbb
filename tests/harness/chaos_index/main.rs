//! `make chaos-index`: kills the parts of the distributed engine of metric-index in turn while series are sent, and looks for
//! series that were sent and are not in the catalogue. The last line is the result; the exit code is 1 if a series is missing.
//!
//! Each kill comes with series of its own, sent while the part is away and again when it is back. At the end all series are sent
//! once more: a series that is missing then was marked as known without being durable.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use jiff::Timestamp;
use pushring_harness::http::Client;
use pushring_harness::remote_write::{self, Series};
use pushring_harness::{Kafka, MariaDb, MetricIndex, Redis, poll_until};
use serde_json::{Value, json};

/// Series of one kill.
const SERIES: usize = 100;
/// The parts, in the order in which they are killed.
const PARTS: [&str; 5] = ["gateway", "indexer", "Redis", "Kafka", "MariaDB"];

/// Kills the parts of the distributed engine of metric-index in turn while series are sent
#[derive(Parser)]
#[command(name = "pushring-chaos-index")]
struct Arguments {
    /// Number of kills
    #[arg(long, default_value_t = 200)]
    kills: usize,
}

struct Fleet {
    gateway: MetricIndex,
    indexer: MetricIndex,
    redis: Redis,
    kafka: Kafka,
    mariadb: MariaDb,
}

fn main() -> Result<ExitCode> {
    let Arguments { kills } = Arguments::parse();
    let dir = tempfile::tempdir()?;
    let mut fleet = Fleet::start(dir.path())?;
    let began = Instant::now();
    for kill in 0..kills {
        let part = PARTS[kill % PARTS.len()];
        fleet.kill(part);
        let numbers = kill * SERIES..(kill + 1) * SERIES;
        // A gateway that is away accepts nothing; all others must not keep it from answering.
        let accepted = fleet.send(numbers.clone());
        ensure!(accepted.is_ok() || part == "gateway", "{part} is away: {accepted:?}");
        fleet.restart(part)?;
        fleet.send(numbers)?;
        println!("kill {} of {kills}: {part}", kill + 1);
    }
    for kill in 0..kills {
        fleet.send(kill * SERIES..(kill + 1) * SERIES)?;
    }
    let sent: BTreeSet<usize> = (0..kills * SERIES).collect();
    let mut missing = sent.clone();
    let waited = poll_until("the catalogue", || {
        missing = sent.difference(&fleet.found().ok()?).copied().collect();
        missing.is_empty().then_some(())
    });
    let rows = fleet.mariadb.metrics("SELECT count(*), count(DISTINCT `key`) FROM series")?;
    println!(
        "{kills} kills in {} s: {} series sent, {} missing; rows and keys {rows:?}",
        began.elapsed().as_secs(),
        sent.len(),
        missing.len()
    );
    Ok(ExitCode::from(u8::from(waited.is_err())))
}

impl Fleet {
    fn start(dir: &Path) -> Result<Self> {
        let (redis, mariadb, kafka) = (Redis::start(dir)?, MariaDb::start(dir)?, Kafka::start(dir)?);
        let config = |role: &str| -> Value {
            json!({
                "app": {"role_type": role},
                "redis": {"host": "127.0.0.1", "port": redis.address.port()},
                "mysql": {"host": "127.0.0.1", "port": mariadb.address.port(), "user": "root", "dbname": "metrics"},
                "metric_store": {
                    "cache": {"flush_interval": 1},
                    "producer": {"hosts": [kafka.address], "topic": "series"},
                    "consummer": {"hosts": [kafka.address], "topics": ["series"], "group_id": "workers"},
                },
            })
        };
        let gateway = MetricIndex::start(dir, "gateway", &config("gateway"))?;
        let indexer = MetricIndex::start(dir, "indexer", &config("indexer"))?;
        Ok(Self { gateway, indexer, redis, kafka, mariadb })
    }

    fn kill(&mut self, part: &str) {
        match part {
            "gateway" => self.gateway.process(),
            "indexer" => self.indexer.process(),
            "Redis" => self.redis.process(),
            "Kafka" => self.kafka.process(),
            _ => self.mariadb.process(),
        }
        .kill();
    }

    fn restart(&mut self, part: &str) -> Result<()> {
        match part {
            "gateway" => self.gateway.restart(),
            "indexer" => self.indexer.restart(),
            "Redis" => self.redis.restart(),
            "Kafka" => self.kafka.restart(),
            _ => self.mariadb.restart(),
        }
    }

    /// Sends a series for each number.
    fn send(&self, numbers: Range<usize>) -> Result<()> {
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let series = |number: usize| Series {
            labels: vec![
                label("__name__", "chaos"),
                label("job", "chaos"),
                label("number", &number.to_string()),
            ],
            value: number as f64,
            at: Timestamp::now().as_millisecond(),
        };
        let body = remote_write::body(&numbers.map(series).collect::<Vec<_>>())?;
        let answer = remote_write::send(&Client::new(self.gateway.address)?, "/api/v1/write", body)?;
        ensure!(answer.status / 100 == 2, "{} {}", answer.status, answer.text());
        Ok(())
    }

    /// Returns the numbers that are in the catalogue.
    fn found(&self) -> Result<BTreeSet<usize>> {
        let rows = self.mariadb.metrics("SELECT labels FROM series")?;
        let number = |row: &Vec<String>| {
            let labels: Value = serde_json::from_str(row.first()?).ok()?;
            labels["number"].as_str()?.parse().ok()
        };
        Ok(rows.iter().filter_map(number).collect())
    }
}
