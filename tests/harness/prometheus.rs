//! Starts a real Prometheus that scrapes Pushgateways, as the judge of what they expose.

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
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
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

    /// Scrapes a gateway and returns the results for [`POOLS`]: waits until a scrape that began after this call is
    /// stored.
    ///
    /// # Errors
    /// If it is not scraped in time.
    pub fn scrape(&self, gateway: SocketAddr) -> Result<[Scrape; 2]> {
        let called = Timestamp::now();
        // The targets show a scrape before its samples are stored, so a second one must have begun.
        let first = poll_until("a scrape", || self.targets_since(gateway, called))?;
        let began = first.iter().map(began).max().context("no target")?;
        let second = poll_until("a second scrape", || self.targets_since(gateway, began))?;
        let [text, native] = POOLS.map(|pool| self.scrape_of(gateway, pool, &second));
        Ok([text?, native?])
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

    fn scrape_of(&self, gateway: SocketAddr, pool: &str, targets: &[Value]) -> Result<Scrape> {
        let target = targets.iter().find(|target| target["scrapePool"] == pool).context("no target")?;
        let error = target["lastError"].as_str().context("no lastError")?.to_owned();
        if !error.is_empty() {
            return Ok(Scrape { error, dropped: 0 });
        }
        let one = |query: String| -> Result<f64> {
            Ok(self.query(&query)?.first().with_context(|| format!("{query}: no result"))?.1)
        };
        let of = format!("gateway=\"{gateway}\",pool=\"{pool}\"");
        let exposed = one(format!("scrape_samples_scraped{{{of}}}"))?;
        let stored = one(format!("count({{{of}}})"))?;
        Ok(Scrape { error, dropped: exposed as i64 + OWN_SERIES - stored as i64 })
    }

    /// Returns the targets of a gateway, if a scrape of each began after `time`.
    fn targets_since(&self, gateway: SocketAddr, time: Timestamp) -> Option<Vec<Value>> {
        let answer = Client::new(self.address).ok()?.get("/api/v1/targets?state=active").ok()?.json().ok()?;
        let all = answer["data"]["activeTargets"].as_array()?;
        let of = |target: &&Value| target["labels"]["gateway"] == gateway.to_string();
        let own: Vec<Value> = all.iter().filter(of).cloned().collect();
        let scraped = |target: &Value| target["health"] != "unknown" && began(target) > time;
        (own.len() == POOLS.len() && own.iter().all(scraped)).then_some(own)
    }
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
