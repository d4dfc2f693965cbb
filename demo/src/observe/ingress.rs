//! An Envoy with `pushring discover` next to it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use pushring::command::publish::RING_FILE;
use pushring_harness::{Envoy, Layout, Mode, Process, Templates, command, process, tools};
use serde_json::json;

use super::ports::Ports;
use super::store::Store;

/// Dropping it kills both processes.
#[derive(Debug)]
pub(super) struct Ingress {
    pub(super) envoy: Envoy,
    pub(super) discover: Process,
    /// The listener for Prometheus and health checks.
    pub(super) metrics: SocketAddr,
    layout: Layout,
}

impl Ingress {
    /// Publishes the first ring, and starts both; `index` is 0 or 1. `zipkin` receives the traces.
    pub(super) fn start(
        dir: &Path,
        mode: Mode,
        (ports, index): (Ports, u16),
        store: &Store,
        zipkin: Option<SocketAddr>,
    ) -> Result<Self> {
        let (own, listen) = (ports.envoy(index), ports.discover(index));
        let layout = Layout::create(dir, mode, own)?;
        layout.serve_at(ports.serve())?;
        if let Some(zipkin) = zipkin {
            trace(&layout, zipkin)?;
        }
        let templates = Templates::install(&layout, &[])?;
        let flags = [
            store.source().to_owned(),
            store.flag(),
            format!("--settings={}", templates.settings().display()),
            format!("--live={}", layout.live().display()),
        ];
        let once =
            command::pushring(["discover", "--once"].into_iter().chain(flags.iter().map(String::as_str)))?;
        ensure!(once.code == 0, "pushring discover --once: {}", once.stderr.trim());
        let envoy = Envoy::start(&layout, 1)?;
        let mut discover = command::prepare(process::command(&tools::pushring()?));
        discover.arg("discover").args(&flags).arg(format!("--admin=http://{}", envoy.admin));
        discover.arg(format!("--listen={listen}")).arg(format!("--file-sd={}", targets(dir).display()));
        let discover = Process::start("discover", discover, dir)?;
        let metrics = (Ipv4Addr::LOCALHOST, own.metrics).into();
        Ok(Self { envoy, discover, metrics, layout })
    }

    /// Returns the number of members on the active ring.
    pub(super) fn members(&self) -> Option<usize> {
        Some(self.envoy.status().ok()?["members"].as_array()?.len())
    }

    /// Returns the published ring.
    pub(super) fn ring(&self) -> PathBuf {
        self.layout.live().join(RING_FILE)
    }

    /// Publishes a ring that the filter refuses, past `discover`, and returns the good one.
    pub(super) fn break_ring(&self) -> Result<String> {
        let good = fs::read_to_string(self.ring())?;
        let field = "\"members\":";
        ensure!(good.contains(field), "{} has no {field}", self.ring().display());
        self.layout.write_live(RING_FILE, &good.replacen(field, "\"membres\":", 1))?;
        Ok(good)
    }

    pub(super) fn write_ring(&self, text: &str) -> Result<()> {
        self.layout.write_live(RING_FILE, text)
    }
}

/// Returns the file with the targets for Prometheus in the folder of an Envoy.
pub(super) fn targets(dir: &Path) -> PathBuf {
    dir.join("pushgateways.json")
}

/// Sends a trace of each push to Zipkin.
fn trace(layout: &Layout, zipkin: SocketAddr) -> Result<()> {
    let tracing = json!({
        "provider": {"name": "envoy.tracers.zipkin", "typed_config": {
            "@type": "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig",
            "collector_cluster": "zipkin", "collector_endpoint": "/api/v2/spans", "collector_endpoint_version": "HTTP_JSON",
            "trace_id_128bit": true, "shared_span_context": false,
            "trace_context_option": "USE_B3_WITH_W3C_PROPAGATION",
        }},
        "spawn_upstream_span": true,
    });
    let address = json!({"address": zipkin.ip(), "port_value": zipkin.port()});
    let cluster = json!({
        "name": "zipkin", "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "zipkin", "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": {"socket_address": address}}}]},
        ]},
    });
    let push = "          stat_prefix: push\n";
    let clusters = "\n  clusters:\n";
    layout.edit(&[
        (push, &format!("{push}          tracing: {tracing}\n")),
        (clusters, &format!("{clusters}  - {cluster}\n")),
    ])
}
