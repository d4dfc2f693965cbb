//! The servers, the sender, and what it was promised.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use pushring_harness::http::Client;
use pushring_harness::remote_write::{self, Series};
use pushring_harness::{Kafka, MariaDb, MetricIndex, Redis, VictoriaMetrics};
use rustix::process::Signal;
use serde_json::{Value, json};

/// The parts, in the order in which they are disturbed.
pub(crate) const PARTS: [&str; 8] =
    ["gateway", "indexer", "Redis", "target", "Kafka", "gateway without target", "MariaDB", "silent target"];

/// Requests that are accepted before the gateway is killed in the middle of the next one.
const REQUESTS: usize = 20;

/// Time in milliseconds and value.
pub(crate) type Sample = (i64, usize);

pub(crate) struct Fleet {
    gateway: MetricIndex,
    indexer: MetricIndex,
    redis: Redis,
    kafka: Kafka,
    pub(crate) mariadb: MariaDb,
    target: VictoriaMetrics,
    /// The samples that were answered with a success.
    pub(crate) accepted: BTreeSet<Sample>,
    /// Requests that went to the spool of gateways that were killed since.
    pub(crate) spooled: f64,
}

impl Fleet {
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        let (redis, mariadb, kafka) = (Redis::start(dir)?, MariaDb::start(dir)?, Kafka::start(dir)?);
        let target = VictoriaMetrics::start(dir)?;
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
                "remote": {"write": {
                    "url": format!("http://{}/api/v1/write", target.address),
                    "timeout": 2,
                    "spool": {"path": dir.join("spool")},
                }},
            })
        };
        let gateway = MetricIndex::start(dir, "gateway", &config("gateway"))?;
        let indexer = MetricIndex::start(dir, "indexer", &config("indexer"))?;
        let (accepted, spooled) = (BTreeSet::new(), 0.0);
        Ok(Self { gateway, indexer, redis, kafka, mariadb, target, accepted, spooled })
    }

    /// Takes a part away, sends a series for each number, brings it back, and sends them again.
    pub(crate) fn disturb(&mut self, part: &str, numbers: Range<usize>) -> Result<()> {
        match part {
            "gateway" => self.kill_gateway(numbers.clone())?,
            "target" => {
                self.target.process.stop(Signal::TERM)?;
                self.send(numbers.clone())?;
                self.target.restart()?;
            }
            "gateway without target" => {
                self.target.process.stop(Signal::TERM)?;
                self.kill_gateway(numbers.clone())?;
                self.send(numbers.clone())?;
                self.target.restart()?;
            }
            "silent target" => {
                self.target.process.halt()?;
                self.send(numbers.clone())?;
                self.target.process.signal(Signal::CONT);
            }
            "indexer" => {
                self.indexer.process().kill();
                self.send(numbers.clone())?;
                self.indexer.restart()?;
            }
            "Redis" => {
                self.redis.process().kill();
                self.send(numbers.clone())?;
                self.redis.restart()?;
            }
            "Kafka" => {
                self.kafka.process().kill();
                self.send(numbers.clone())?;
                self.kafka.restart()?;
            }
            _ => {
                self.mariadb.process().kill();
                self.send(numbers.clone())?;
                self.mariadb.restart()?;
            }
        }
        self.send(numbers)
    }

    /// Kills the gateway while requests are under way.
    fn kill_gateway(&mut self, numbers: Range<usize>) -> Result<()> {
        let address = self.gateway.address;
        let (answered, answers) = mpsc::channel();
        // It ends with the gateway: its last request has no answer.
        let sender = thread::spawn(move || {
            while let Ok(samples) = send(address, numbers.clone()) {
                let _ = answered.send(samples);
            }
        });
        for _ in 0..REQUESTS {
            self.accepted.extend(answers.recv().context("the gateway rejects a request")?);
        }
        self.spooled += self.gateway.metric("metric_index_spooled_total")?;
        self.gateway.process().kill();
        self.accepted.extend(answers.iter().flatten());
        ensure!(sender.join().is_ok(), "the sender failed");
        self.gateway.restart()
    }

    /// Sends a series for each number; the gateway must accept them.
    pub(crate) fn send(&mut self, numbers: Range<usize>) -> Result<()> {
        self.accepted.extend(send(self.gateway.address, numbers)?);
        Ok(())
    }

    /// Returns the numbers that are in the catalogue.
    pub(crate) fn found(&self) -> Result<BTreeSet<usize>> {
        let rows = self.mariadb.metrics("SELECT labels FROM series")?;
        let number = |row: &Vec<String>| {
            let labels: Value = serde_json::from_str(row.first()?).ok()?;
            labels["number"].as_str()?.parse().ok()
        };
        Ok(rows.iter().filter_map(number).collect())
    }

    /// Returns the samples that the target has.
    pub(crate) fn arrived(&self) -> Result<BTreeSet<Sample>> {
        let samples = self.target.samples("chaos")?;
        Ok(samples.into_iter().map(|(time, value)| (time, value as usize)).collect())
    }
}

/// Returns the samples of a request that was accepted.
fn send(address: SocketAddr, numbers: Range<usize>) -> Result<Vec<Sample>> {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let at = Timestamp::now().as_millisecond();
    let series = |number: usize| Series {
        labels: vec![label("__name__", "chaos"), label("job", "chaos"), label("number", &number.to_string())],
        value: number as f64,
        at,
    };
    let body = remote_write::body(&numbers.clone().map(series).collect::<Vec<_>>())?;
    let answer = remote_write::send(&Client::new(address)?, "/api/v1/write", body)?;
    ensure!(answer.status / 100 == 2, "{} {}", answer.status, answer.text());
    Ok(numbers.map(|number| (at, number)).collect())
}
