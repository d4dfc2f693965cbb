//! The whole chain: the list of members, `pushring discover`, Envoy, `pushring sweep --repair`, `pushring serve`, Prometheus.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::fleet::Fleet;
use super::summary::Settings;
use crate::chaos::follower::Follower;
use crate::chaos::plan::State;
use crate::chaos::registry::{Registry, Source};
use crate::http::Client;
use crate::{Envoy, Layout, Ports, Process, Prometheus, command, process, tools};

/// Number of Envoy's workers.
const WORKERS: u32 = 2;
/// The shipped setting and its replacement.
const MIRROR: [(&str, &str); 1] = [("mirror: deletes", "mirror: all")];
/// The time between two scrapes of Prometheus, and the time that one may take.
const EVERY: &str = "5s";

/// The servers besides the gateways. Dropping it stops them.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) prometheus: Prometheus,
    pub(super) serve: SocketAddr,
    sweep: Client,
    watched: Vec<Process>,
    pub(super) envoy: Envoy,
    status: Client,
    follower: Follower,
    registry: Registry,
    /// The file of the ring that Envoy, `serve` and `sweep` read.
    pub(super) ring: PathBuf,
}

impl Servers {
    /// Starts all of them with these members.
    pub(super) fn start(dir: &Path, settings: Settings, fleet: &Fleet, members: &[bool]) -> Result<Self> {
        let mut registry = Registry::start(Source::File, dir, &fleet.addresses())?;
        for gateway in (0..fleet.len()).filter(|gateway| members[*gateway]) {
            registry.set_state(fleet.address(gateway), State::Absent, State::Passing)?;
        }
        let layout = Layout::create(&dir.join("pushring"), settings.mode, Ports::default())?;
        let mut follower = Follower::prepare(dir, Source::File, &layout, &registry, &MIRROR)?;
        let envoy = Envoy::start(&layout, WORKERS)?;
        follower.start(envoy.admin)?;
        let ring = layout.live().join("ring.yaml");
        let config = format!("--config={}", ring.display());
        let url = format!("--envoy=http://{}", envoy.push);
        let sweep = ["sweep", "--watch=1s", "--repair", "--single", "--settle=1s", "--listen=127.0.0.1:0"];
        let (sweep, metrics) = start(dir, &[&sweep[..], &[&config, &url]].concat())?;
        let (serve, address) = start(dir, &["serve", "--listen=127.0.0.1:0", &config])?;
        let prometheus = Prometheus::with_config(dir, &scrapes(address))?;
        let status = envoy.client()?;
        let (watched, sweep) = (vec![serve, sweep], Client::new(metrics)?);
        Ok(Self { prometheus, serve: address, sweep, watched, envoy, status, follower, registry, ring })
    }

    /// Moves a gateway from one state to another in the list of members.
    pub(super) fn set_state(&mut self, address: SocketAddr, from: State, to: State) -> Result<()> {
        self.registry.set_state(address, from, to)
    }

    /// Returns the digest of the ring in Envoy.
    pub(super) fn digest(&self) -> Option<String> {
        let status = self.status.get("/-/pushring").ok()?.json().ok()?;
        status["digest"].as_str().map(str::to_owned)
    }

    /// Returns the number of passes that `sweep` has finished, none of them a dry run.
    pub(super) fn passes(&self) -> Result<u64> {
        let text = self.sweep.get("/metrics")?.text();
        let line = text.lines().find(|line| line.starts_with("pushring_sweep_passes_total{result=\"done\"}"));
        Ok(line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or_default())
    }

    /// Returns an error if a server has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        for process in
            [&mut self.envoy.process, &mut self.prometheus.process].into_iter().chain(&mut self.watched)
        {
            let status = process.ended();
            ensure!(status.is_none(), "a server ended: {status:?}\n{}", process.tail());
        }
        self.follower.supervise()
    }

    /// Returns the number of scrapes of Prometheus, and of those that failed or had a sample twice.
    pub(super) fn scrapes(&self) -> Result<(u64, u64)> {
        let sum = |query: &str| -> Result<u64> {
            let rows = self.prometheus.query_at(query, Timestamp::now())?;
            Ok(rows.iter().map(|(_, value)| *value as u64).sum())
        };
        let (all, good) = (sum("count_over_time(up[1d])")?, sum("sum_over_time(up[1d])")?);
        let own = Client::new(self.prometheus.address)?.get("/metrics")?.text();
        let name = "prometheus_target_scrapes_sample_duplicate_timestamp_total ";
        let twice = own.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok());
        Ok((all, all - good + twice.context("Prometheus does not count duplicates")? as u64))
    }
}

/// Starts a command that logs the address at which it listens.
fn start(dir: &Path, arguments: &[&str]) -> Result<(Process, SocketAddr)> {
    let mut command = command::prepare(process::command(&tools::pushring()?));
    command.args(arguments);
    let mut process = Process::start(arguments[0], command, dir)?;
    let address = process.wait_until("listening", |process| listening(&process.log()))?;
    Ok((process, address))
}

/// Returns the address in `"url":"http://127.0.0.1:40543/metrics"`.
fn listening(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("http://127.0.0.1:")?;
    let port = rest.split(|found: char| !found.is_ascii_digit()).next()?.parse().ok()?;
    Some(SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Returns the configuration of a Prometheus that reads the text format and, as another target, protobuf.
fn scrapes(serve: SocketAddr) -> Value {
    let job = |name: &str, protocols: &[&str]| {
        json!({
            "job_name": name,
            "honor_labels": true,
            "scrape_protocols": protocols,
            "static_configs": [{"targets": [serve]}],
        })
    };
    json!({
        "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY},
        "scrape_configs": [job("text", &["PrometheusText0.0.4"]), job("protobuf", &["PrometheusProto"])],
    })
}
