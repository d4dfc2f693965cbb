//! The Pushgateways behind Envoy. Each adds its name to its answers and lists what it holds.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};

use super::load;
use super::registry::Source;
use crate::kubernetes::PORT;
use crate::{Pushgateway, network};

/// The addresses of pods. The API server rejects those of the loopback network.
const PODS: &str = "10.77.0.0/24";

/// The gateways that join and leave. They always run; only their registration changes.
///
/// Their consistency check is off. It takes 2 ms of each push, and then too few pushes would fall into the few
/// milliseconds in which a wrong order of the files loses pushes.
#[derive(Debug)]
pub(super) struct Gateways {
    all: Vec<Pushgateway>,
}

/// The content of one gateway.
#[derive(Debug)]
pub(crate) struct Held {
    /// Number of pushes that it answered 2xx since it started.
    pub(super) pushes: u64,
    /// The value of each group that it stores.
    pub(crate) values: BTreeMap<usize, u64>,
}

impl Held {
    /// Returns whether it stores this value of the group or a later one.
    pub(super) fn has(&self, group: usize, value: u64) -> bool {
        self.values.get(&group).is_some_and(|found| *found >= value)
    }
}

impl Gateways {
    pub(super) fn start(dir: &Path, source: Source, count: usize) -> Result<Self> {
        if source == Source::Kubernetes {
            network::add(PODS)?;
        }
        let start = |index| {
            let file = dir.join(format!("{}.yml", name(index)));
            let config =
                format!("http_server_config:\n  headers:\n    Content-Security-Policy: {}\n", name(index));
            fs::write(&file, config)?;
            let config = format!("--web.config.file={}", file.display());
            let flags = [&config, "--push.disable-consistency-check"];
            match source {
                Source::Kubernetes => Pushgateway::start_at(dir, pod_address(index)?, &flags),
                _ => Pushgateway::start(dir, &flags),
            }
        };
        Ok(Self { all: (0..count).map(start).collect::<Result<_>>()? })
    }

    pub(super) fn address(&self, index: usize) -> SocketAddr {
        self.all[index].address
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.all.iter().map(|gateway| gateway.address).collect()
    }

    pub(super) fn held(&self) -> Result<Vec<Held>> {
        self.all.iter().map(|gateway| held(&gateway.metrics()?)).collect()
    }
}

/// Returns the address of a pod.
fn pod_address(index: usize) -> Result<SocketAddr> {
    Ok(SocketAddr::from(([10, 77, 0, u8::try_from(index + 1)?], PORT)))
}

/// Returns the name of a gateway in its answers.
pub(crate) fn name(index: usize) -> String {
    format!("gateway-{index}")
}

/// Returns the index of the gateway with this name.
pub(crate) fn index(name: &str) -> Option<usize> {
    name.strip_prefix("gateway-")?.parse().ok()
}

/// Reads what a gateway shows to Prometheus.
pub(crate) fn held(metrics: &str) -> Result<Held> {
    let mut held = Held { pushes: 0, values: BTreeMap::new() };
    for line in metrics.lines() {
        let number = || line.rsplit_once(' ')?.1.parse::<f64>().ok().map(|value| value as u64);
        if line.starts_with("pushgateway_http_requests_total{code=\"2") && line.contains("handler=\"push\"") {
            held.pushes += number().with_context(|| line.to_owned())?;
        } else if let Some(group) = line.strip_prefix("chaos_value{instance=\"g") {
            let group = group.split('"').next().and_then(|group| group.parse().ok());
            let group: usize =
                group.filter(|group| *group < load::GROUPS).with_context(|| line.to_owned())?;
            held.values.insert(group, number().with_context(|| line.to_owned())?);
        }
    }
    Ok(held)
}
