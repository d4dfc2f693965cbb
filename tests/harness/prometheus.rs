//! Starts a real Prometheus that scrapes Pushgateways, as the judge of what they expose.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::http::{Client, encode};
use crate::process::{self, Process};
use crate::{poll_until, tools};

/// Series that Prometheus adds to each target: `up` and four about the scrape.
const OWN_SERIES: i64 = 5;

/// The ways in which Prometheus scrapes: text, the default; OpenMetrics; protobuf, without and with native histograms, the
/// latter also with their classic series; and text in which the gateway escapes names, for a Prometheus without UTF-8 names
/// and for its two other schemes.
pub const POOLS: [&str; 8] =
    ["text", "openmetrics", "protobuf", "native", "native-and-classic", "underscores", "dots", "values"];

/// Returns the settings of one of [`POOLS`].
fn settings(pool: &str) -> Value {
    let escaped = |scheme: &str| json!({"metric_name_escaping_scheme": scheme});
    match pool {
        "openmetrics" => json!({"scrape_protocols": ["OpenMetricsText1.0.0"]}),
        "protobuf" => json!({"scrape_protocols": ["PrometheusProto"]}),
        "native" => json!({"scrape_native_histograms": true}),
        "native-and-classic" => {
            json!({"scrape_native_histograms": true, "always_scrape_classic_histograms": true})
        }
        "underscores" => json!({"metric_name_validation_scheme": "legacy"}),
        "dots" | "values" => escaped(pool),
        _ => json!({}),
    }
}

/// A running Prometheus. Dropping it kills the process.
#[derive(Debug)]
pub struct Prometheus {
    /// The address of the HTTP API.
    pub address: SocketAddr,
    /// The process, to read its log.
    pub process: Process,
    pools: &'static [&'static str],
}

/// The scrape of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrape {
    /// The error that Prometheus reports; empty if the scrape succeeds.
    pub error: String,
    /// Number of samples that Prometheus dropped.
    pub dropped: i64,
    /// Whether Prometheus stored the honest series.
    pub is_complete: bool,
}

/// The address of a gateway and the name of a pool.
type Key = (String, String);

impl Scrape {
    /// Returns whether everything that the gateway holds is stored.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.error.is_empty() && self.dropped == 0 && self.is_complete
    }
}

impl Prometheus {
    /// Starts a Prometheus that scrapes these gateways in each of these [`POOLS`]; each series has the labels `gateway` and `pool`.
    /// Its data and log are in `dir`.
    ///
    /// # Errors
    /// If it is not installed or does not become ready.
    pub fn start(dir: &Path, gateways: &[SocketAddr], pools: &'static [&str]) -> Result<Self> {
        let pool = |pool: &str| {
            let targets: Vec<Value> = gateways
                .iter()
                .map(|gateway| json!({"targets": [gateway], "labels": {"gateway": gateway, "pool": pool}}))
                .collect();
            let mut config = settings(pool);
            config["job_name"] = json!(pool);
            config["honor_labels"] = json!(true);
            config["static_configs"] = json!(targets);
            config
        };
        let config = json!({
            // JSON is YAML.
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
            "scrape_configs": pools.iter().map(|name| pool(name)).collect::<Vec<_>>(),
        });
        Ok(Self { pools, ..Self::with_config(dir, &config)? })
    }

    /// Starts a Prometheus with this configuration. Its data and log are in `dir`.
    ///
    /// # Errors
    /// As [`Prometheus::start`].
    pub fn with_config(dir: &Path, config: &Value) -> Result<Self> {
        Self::with_flags(dir, config, &[])
    }

    /// Starts a Prometheus that takes remote writes, and scrapes nothing. Its data and log are in `dir`.
    ///
    /// # Errors
    /// As [`Prometheus::start`].
    pub fn receiver(dir: &Path) -> Result<Self> {
        Self::with_flags(dir, &json!({}), &["--web.enable-remote-write-receiver"])
    }

    /// As [`Prometheus::with_config`], with further flags.
    ///
    /// # Errors
    /// As [`Prometheus::start`].
    pub fn with_flags(dir: &Path, config: &Value, flags: &[&str]) -> Result<Self> {
        let file = dir.join("prometheus.yml");
        fs::write(&file, config.to_string())?;
        let mut command = process::command(&tools::find("prometheus")?);
        command.args(["--web.listen-address=127.0.0.1:0", "--scrape.discovery-reload-interval=100ms"]);
        command.args(flags);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.join("prometheus-data").display()));
        let mut process = Process::start("prometheus", command, dir)?;
        let address = process.wait_until("listening", |process| listening(&process.log()))?;
        let started = Self { address, process, pools: &[] };
        let client = Client::new(address)?;
        poll_until("Prometheus to be ready", || (client.get("/-/ready").ok()?.status == 200).then_some(()))?;
        Ok(started)
    }

    /// Returns the results of the pools for each gateway, of scrapes that began after this call. `honest` is the name of a
    /// series that each gateway exposes.
    ///
    /// # Errors
    /// If a gateway is not scraped in time.
    pub fn scrape_all(&self, gateways: &[SocketAddr], honest: &str) -> Result<Vec<Vec<Scrape>>> {
        let called = Timestamp::now();
        let mut scraped: HashMap<Key, (Timestamp, Option<String>)> = HashMap::new();
        let count = self.pools.len() * gateways.len();
        poll_until("the scrapes", || {
            for (key, began, error) in self.targets()? {
                // Prometheus shows a scrape before its samples are stored, so a second one must have begun.
                match scraped.get_mut(&key) {
                    _ if began <= called => {}
                    None => drop(scraped.insert(key, (began, None))),
                    Some((first, second)) if began > *first => *second = Some(error),
                    Some(_) => {}
                }
            }
            (scraped.values().filter(|(_, second)| second.is_some()).count() >= count).then_some(())
        })?;
        // Scrapes of some gateways fail by chance, so not all need to succeed at the same time.
        let mut samples = HashMap::new();
        poll_until("the samples", || {
            for (key, found) in self.samples(honest).ok()? {
                samples.entry(key).or_insert(found);
            }
            let scrape = |gateway: &SocketAddr, pool: &str| {
                let key = (gateway.to_string(), pool.to_owned());
                let error = scraped.get(&key)?.1.clone()?;
                match samples.get(&key) {
                    _ if !error.is_empty() => Some(Scrape { error, dropped: 0, is_complete: false }),
                    // The last scrape took too long, which says nothing about the gateway.
                    None => None,
                    Some(&(dropped, is_complete)) => Some(Scrape { error, dropped, is_complete }),
                }
            };
            let of = |gateway| self.pools.iter().map(move |pool| scrape(gateway, pool)).collect();
            gateways.iter().map(of).collect()
        })
    }

    /// Returns the number of dropped samples of each target whose last scrape succeeded, and whether it has the series.
    fn samples(&self, honest: &str) -> Result<HashMap<Key, (i64, bool)>> {
        let now = Timestamp::now();
        let values = |query: &str| -> Result<HashMap<Key, i64>> {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let row = |(labels, value): (Value, f64)| {
                ((text(&labels["gateway"]), text(&labels["pool"])), value as i64)
            };
            Ok(self.query_at(query, now)?.into_iter().map(row).collect())
        };
        let up = values("up{pool!=\"\"} == 1")?;
        let (exposed, has) = (values("scrape_samples_scraped")?, values(honest)?);
        let stored = values("count by (gateway, pool) ({gateway!=\"\"})")?;
        let of = |counts: &HashMap<Key, i64>, key: &Key| counts.get(key).copied().unwrap_or_default();
        let target = |key: Key| {
            let dropped = of(&exposed, &key) + OWN_SERIES - of(&stored, &key);
            let is_complete = has.contains_key(&key);
            (key, (dropped, is_complete))
        };
        Ok(up.into_keys().map(target).collect())
    }

    /// Returns the labels of each target that it scrapes.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn target_labels(&self) -> Result<Vec<Value>> {
        let answer = Client::new(self.address)?.get("/api/v1/targets?state=active")?.json()?;
        let targets = answer["data"]["activeTargets"].as_array().context("no targets")?;
        Ok(targets.iter().map(|target| target["labels"].clone()).collect())
    }

    /// Runs an instant query; returns the labels and the value of each series.
    pub(crate) fn query_at(&self, query: &str, time: Timestamp) -> Result<Vec<(Value, f64)>> {
        let client = Client::new(self.address)?;
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = format!("time={time}&query={}", encode(query));
        let answer = client.send("POST", "/api/v1/query", &form, body)?.json()?;
        ensure!(answer["status"] == "success", "{query}: {answer}");
        let rows = answer["data"]["result"].as_array().context("no result")?;
        let row = |row: &Value| Some((row["metric"].clone(), row["value"][1].as_str()?.parse().ok()?));
        rows.iter().map(|found| row(found).with_context(|| found.to_string())).collect()
    }

    /// Returns each target with the begin and the error of its last scrape. A scrape without an answer in time is
    /// omitted, because a test must not depend on the speed of the machine.
    fn targets(&self) -> Option<Vec<(Key, Timestamp, String)>> {
        let answer = Client::new(self.address).ok()?.get("/api/v1/targets?state=active").ok()?.json().ok()?;
        let text = |value: &Value| Some(value.as_str()?.to_owned());
        let target = |target: &Value| {
            let (error, began) = (text(&target["lastError"])?, text(&target["lastScrape"])?.parse().ok()?);
            let is_scraped = target["health"] != "unknown" && !error.contains("deadline");
            let key = (text(&target["labels"]["gateway"])?, text(&target["scrapePool"])?);
            is_scraped.then_some((key, began, error))
        };
        Some(answer["data"]["activeTargets"].as_array()?.iter().filter_map(target).collect())
    }
}

/// Returns the address in the log line `msg="Listening on" component=web address=127.0.0.1:40543`.
fn listening(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find_map(|line| line.split_once("msg=\"Listening on\" component=web address="))?;
    line.1.trim().parse().ok()
}
