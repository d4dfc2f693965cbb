//! Starts a real Prometheus that scrapes Pushgateways, as the judge of what they expose.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::http::Client;
use crate::process::{self, Process};
use crate::{poll_until, tools};

/// Series that Prometheus adds to each target: `up` and four about the scrape.
const OWN_SERIES: i64 = 5;

/// The two ways in which Prometheus scrapes: text, the default, and protobuf for native histograms.
pub const POOLS: [&str; 2] = ["text", "native"];

/// A running Prometheus. Dropping it kills the process.
#[derive(Debug)]
pub struct Prometheus {
    /// The address of the HTTP API.
    pub address: SocketAddr,
    /// The process, to read its log.
    pub process: Process,
}

/// The scrape of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrape {
    /// The error that Prometheus reports; empty if the scrape succeeds.
    pub error: String,
    /// Number of samples that Prometheus dropped.
    pub dropped: i64,
}

impl Scrape {
    /// Returns whether everything that the gateway exposes is stored.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.error.is_empty() && self.dropped == 0
    }
}

impl Prometheus {
    /// Starts a Prometheus that scrapes these gateways in both ways; each series has the labels `gateway` and `pool`.
    /// Its data and log are in `dir`.
    ///
    /// # Errors
    /// If it is not installed or does not become ready.
    pub fn start(dir: &Path, gateways: &[SocketAddr]) -> Result<Self> {
        let pool = |pool: &str| {
            let targets: Vec<Value> = gateways
                .iter()
                .map(|gateway| json!({"targets": [gateway], "labels": {"gateway": gateway, "pool": pool}}))
                .collect();
            json!({
                "job_name": pool, "honor_labels": true, "static_configs": targets,
                "scrape_native_histograms": pool == "native",
            })
        };
        let config = json!({
            // JSON is YAML.
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
            "scrape_configs": POOLS.map(pool),
        });
        let file = dir.join("prometheus.yml");
        fs::write(&file, config.to_string())?;
        let mut command = process::command(&tools::find("prometheus")?);
        command.args(["--web.listen-address=127.0.0.1:0", "--scrape.discovery-reload-interval=100ms"]);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.join("prometheus-data").display()));
        let mut process = Process::start("prometheus", command, dir)?;
        let address = process.wait_until("listening", |process| listening(&process.log()))?;
        let started = Self { address, process };
        let client = Client::new(address)?;
        poll_until("Prometheus to be ready", || (client.get("/-/ready").ok()?.status == 200).then_some(()))?;
        Ok(started)
    }

    /// Returns the results of [`POOLS`] for each gateway, of scrapes that began after this call.
    ///
    /// # Errors
    /// If a gateway is not scraped in time.
    pub fn scrape_all(&self, gateways: &[SocketAddr]) -> Result<Vec<[Scrape; 2]>> {
        let called = Timestamp::now();
        // The targets show a scrape before its samples are stored, so a second one must have begun.
        let first = poll_until("the scrapes", || self.targets_since(gateways, called))?;
        let began = first.iter().map(began).max().context("no targets")?;
        let second = poll_until("the second scrapes", || self.targets_since(gateways, began))?;
        let counts = |query: &str| -> Result<HashMap<(String, String), i64>> {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let row = |(labels, value): (Value, f64)| {
                ((text(&labels["gateway"]), text(&labels["pool"])), value as i64)
            };
            Ok(self.query(query)?.into_iter().map(row).collect())
        };
        let exposed = counts("scrape_samples_scraped")?;
        let stored = counts("count by (gateway, pool) ({gateway!=\"\"})")?;
        let of = |gateway: &SocketAddr, pool: &str| {
            let target = second.iter().find(|target| is_of(target, gateway) && target["scrapePool"] == pool);
            let error =
                target.and_then(|target| target["lastError"].as_str()).unwrap_or("no target").to_owned();
            let key = (gateway.to_string(), pool.to_owned());
            let count = |counts: &HashMap<_, i64>| counts.get(&key).copied().unwrap_or_default();
            let dropped = if error.is_empty() { count(&exposed) + OWN_SERIES - count(&stored) } else { 0 };
            Scrape { error, dropped }
        };
        Ok(gateways.iter().map(|gateway| POOLS.map(|pool| of(gateway, pool))).collect())
    }

    /// Runs an instant query; returns the labels and the value of each series.
    ///
    /// # Errors
    /// If Prometheus rejects it.
    pub fn query(&self, query: &str) -> Result<Vec<(Value, f64)>> {
        let client = Client::new(self.address)?;
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = format!("query={}", encode(query));
        let answer = client.send("POST", "/api/v1/query", &form, body)?.json()?;
        ensure!(answer["status"] == "success", "{query}: {answer}");
        let rows = answer["data"]["result"].as_array().context("no result")?;
        let row = |row: &Value| Some((row["metric"].clone(), row["value"][1].as_str()?.parse().ok()?));
        rows.iter().map(|found| row(found).with_context(|| found.to_string())).collect()
    }

    /// Returns the targets of the gateways, if a scrape of each began after `time`. A scrape without an answer in time
    /// says nothing, because a test must not depend on the speed of the machine.
    fn targets_since(&self, gateways: &[SocketAddr], time: Timestamp) -> Option<Vec<Value>> {
        let answer = Client::new(self.address).ok()?.get("/api/v1/targets?state=active").ok()?.json().ok()?;
        let all = answer["data"]["activeTargets"].as_array()?;
        let of = |target: &&Value| gateways.iter().any(|gateway| is_of(target, gateway));
        let own: Vec<Value> = all.iter().filter(of).cloned().collect();
        let is_late =
            |target: &Value| target["lastError"].as_str().is_some_and(|error| error.contains("deadline"));
        let scraped =
            |target: &Value| target["health"] != "unknown" && began(target) > time && !is_late(target);
        (own.len() == POOLS.len() * gateways.len() && own.iter().all(scraped)).then_some(own)
    }
}

fn is_of(target: &Value, gateway: &SocketAddr) -> bool {
    target["labels"]["gateway"] == gateway.to_string()
}

fn began(target: &Value) -> Timestamp {
    target["lastScrape"].as_str().and_then(|time| time.parse().ok()).unwrap_or(Timestamp::MIN)
}

/// Returns the address in the log line `msg="Listening on" component=web address=127.0.0.1:40543`.
fn listening(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find_map(|line| line.split_once("msg=\"Listening on\" component=web address="))?;
    line.1.trim().parse().ok()
}

/// Encodes a form field.
fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
