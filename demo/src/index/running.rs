//! The parts of the demo.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use pushring_harness::http::Client;
use pushring_harness::{
    Envoy, Layout, Member, MetricIndex, Mode, Ports, Process, Prometheus, Pushgateway, envoy_files,
    poll_until,
};
use serde_json::{Value, json};

use super::IndexOptions;
use super::stores::Stores;
use crate::observe::Jobs;
use crate::{demo, ports, screen};

const GATEWAYS: u16 = 3;
/// The ports of Envoy, of the gateways, and one for metric-index of each role.
const PORTS: u16 = 4 + GATEWAYS + 2;

/// Everything. Dropping it stops the senders first, then Envoy, then the servers behind it.
pub(super) struct Running {
    _jobs: Jobs,
    pub(super) sender: Prometheus,
    pub(super) envoy: Envoy,
    pub(super) receiver: Prometheus,
    pub(super) gateways: Vec<Pushgateway>,
    /// The one that answers queries, and the other roles.
    pub(super) index: MetricIndex,
    others: Vec<MetricIndex>,
    pub(super) stores: Option<Stores>,
    pub(super) dir: PathBuf,
}

impl Running {
    /// Starts all parts, those first that others need; returns `None` if the user stopped the demo in the meantime.
    ///
    /// # Errors
    /// If a part does not start, with its name and the end of its log.
    pub(super) fn start(options: &IndexOptions, dir: &Path, stop: &AtomicBool) -> Result<Option<Self>> {
        let engine = if options.distributed { "Redis, Kafka and MariaDB" } else { "SQLite" };
        screen::heading(format_args!("metric-index with {engine}, behind Envoy (mode {})", options.mode));
        let first = ports::block(options.port, PORTS, "make run INDEX=1")?;
        let at = |offset: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, first + offset));
        let stores = options.distributed.then(|| Stores::start(dir)).transpose()?;
        let of_index = 4 + GATEWAYS;
        let (index, others) = match &stores {
            None => {
                let start = || MetricIndex::start_on(dir, "metric-index", &json!({}), at(of_index));
                (screen::step(format_args!("metric-index at {}", at(of_index)), start)?, Vec::new())
            }
            Some(stores) => screen::step("metric-index, a gateway and an indexer", || {
                let start =
                    |role: &str, offset| MetricIndex::start_on(dir, role, &stores.config(role), at(offset));
                Ok((start("gateway", of_index)?, vec![start("indexer", of_index + 1)?]))
            })?,
        };
        let gateways = screen::step("pushgateways", || {
            (4..of_index)
                .map(|offset| Pushgateway::start_at(dir, at(offset), &[]))
                .collect::<Result<Vec<_>>>()
        })?;
        let receiver = screen::step("Prometheus that receives the writes", || {
            prometheus(dir, "receiver", &json!({}), &["--web.enable-remote-write-receiver"])
        })?;
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let envoy_ports = Ports { push: first, operator: first + 1, admin: first + 2, metrics: first + 3 };
        let addresses: Vec<_> = gateways.iter().map(|gateway| gateway.address).collect();
        let layout = ingress(dir, options.mode, envoy_ports, &addresses, index.address, receiver.address)?;
        let envoy = screen::step(format_args!("Envoy at {}", at(0)), || demo::start_envoy(&layout))?;
        let sender = screen::step("Prometheus that scrapes them and writes to Envoy", || {
            prometheus(dir, "sender", &scrapes(&addresses, envoy.push), &[])
        })?;
        let jobs = Jobs::start(vec![envoy.push]);
        let running = Self {
            _jobs: jobs,
            sender,
            envoy,
            receiver,
            gateways,
            index,
            others,
            stores,
            dir: dir.to_owned(),
        };
        screen::step("series of both in the catalogue", || running.wait())?;
        Ok(Some(running))
    }

    fn wait(&self) -> Result<()> {
        let client = Client::new(self.index.address)?;
        let has = |selector: &str| {
            let answer =
                client.get(&format!("/api/v1/series?limit=1&match[]={selector}")).ok()?.json().ok()?;
            (!answer["data"].as_array()?.is_empty()).then_some(())
        };
        // The histogram of a job that pushes, and a series that Prometheus adds to each scrape.
        poll_until("the series of a push", || has("stream_batch_seconds_bucket"))?;
        poll_until("the series of a scrape", || has("up"))
    }

    /// Reports servers that have ended.
    ///
    /// # Errors
    /// If one has ended: the demo ends, too.
    pub(super) fn report(&mut self) -> Result<()> {
        let mut all: Vec<(&str, &mut Process)> = vec![
            ("Envoy", &mut self.envoy.process),
            ("metric-index", self.index.process()),
            ("Prometheus", &mut self.sender.process),
            ("Prometheus", &mut self.receiver.process),
        ];
        all.extend(self.others.iter_mut().map(|index| ("metric-index", index.process())));
        all.extend(self.gateways.iter_mut().map(|gateway| ("a pushgateway", &mut gateway.process)));
        all.extend(self.stores.iter_mut().flat_map(Stores::processes));
        for (name, process) in all {
            if let Some(status) = process.ended() {
                bail!("{name} ended ({status}), so the demo ends; {}", process.tail());
            }
        }
        Ok(())
    }
}

/// Starts a Prometheus with a folder of its own.
fn prometheus(dir: &Path, name: &str, config: &Value, flags: &[&str]) -> Result<Prometheus> {
    let folder = dir.join(name);
    std::fs::create_dir(&folder)?;
    Prometheus::with_flags(&folder, config, flags)
}

/// Scrapes the gateways, and writes everything to Envoy.
fn scrapes(gateways: &[SocketAddr], envoy: SocketAddr) -> Value {
    json!({
        "global": {"scrape_interval": "5s"},
        "scrape_configs": [
            {"job_name": "pushgateway", "honor_labels": true, "static_configs": [{"targets": gateways}]},
        ],
        "remote_write": [{"url": format!("http://{envoy}/api/v1/write")}],
    })
}

/// Writes Envoy's files: the shipped ones with the patches of examples/observability/.
fn ingress(
    dir: &Path,
    mode: Mode,
    ports: Ports,
    gateways: &[SocketAddr],
    index: SocketAddr,
    target: SocketAddr,
) -> Result<Layout> {
    let pushes = if mode == Mode::Endpoint { "index-endpoint-pushes" } else { "index-pushes" };
    let layout = Layout::patched(&dir.join("envoy"), mode, ports, &["index", pushes, "index-writes"])?;
    let port = |port: u16| format!("address: 127.0.0.1, port_value: {port} ");
    layout.edit(&[(&port(7001), &port(index.port())), (&port(8428), &port(target.port()))])?;
    let members: Vec<Member> = gateways.iter().map(|address| (*address).into()).collect();
    layout.write(&envoy_files::config(mode, &members)?)?;
    Ok(layout)
}
