//! The one question `publish` has for Envoy's admin interface: which clusters, or endpoints, are live.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::blocking::Client;
use serde::Deserialize;
use serde_json::Value;

use crate::error::BadInput;
use crate::publish::upstreams::{Kind, address};

/// A local interface that does not answer in this time has hung.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Envoy's admin interface. Parses from `http://host:port` or `unix:/path/of/socket`.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
    base: String,
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    name: String,
    /// Set when its endpoints come from the endpoint file.
    eds_service_name: Option<String>,
    #[serde(default)]
    host_statuses: Vec<Host>,
}

#[derive(Deserialize)]
struct Host {
    address: Value,
}

impl FromStr for Admin {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let client = crate::http::client(TIMEOUT);
        let (client, base) = match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => (client.unix_socket(path), "http://envoy"),
            None if text.starts_with("http://") => (client, text.trim_end_matches('/')),
            _ => bail!(BadInput(format!("admin: found {text:?}, allowed http://host:port or unix:/path"))),
        };
        Ok(Self { client: client.build()?, base: base.to_owned() })
    }
}

impl Admin {
    /// Names of what is in use; a cluster that is still warming up is not among it, nor an endpoint that some cluster
    /// fed from the endpoint file does not have. Envoy's main thread has by then queued what it lists to every worker,
    /// so what it queues later (a ring) arrives after it.
    ///
    /// `None`: nobody listens there, so there is no Envoy to wait for.
    ///
    /// # Errors
    /// Something answers, but not as Envoy's admin interface does.
    pub(crate) fn listed(&self, kind: Kind) -> anyhow::Result<Option<BTreeSet<String>>> {
        let url = format!("{}/clusters?format=json", self.base);
        let response = match self.client.get(&url).send() {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("Envoy's admin interface at {url}")),
        };
        let listed: Clusters = response
            .error_for_status()
            .and_then(|response| response.json())
            .with_context(|| format!("{url}: not an answer of Envoy's admin interface; check --admin"))?;
        let clusters = listed.cluster_statuses.into_iter();
        Ok(Some(match kind {
            Kind::Cluster => clusters.map(|cluster| cluster.name).collect(),
            Kind::Endpoint => clusters
                .filter(|cluster| cluster.eds_service_name.is_some())
                .map(|cluster| {
                    cluster.host_statuses.iter().filter_map(|host| address(&host.address)).collect()
                })
                .reduce(|all: BTreeSet<_>, more| &all & &more)
                .unwrap_or_default(),
        }))
    }
}
