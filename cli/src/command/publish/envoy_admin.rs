//! Queries Envoy's admin interface for the clusters, or endpoints, that are in use.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use reqwest::blocking::Client;
use serde::Deserialize;
use serde_json::Value;

use super::upstream_kind::{UpstreamKind, address};
use crate::http::{AnswerLimits, ServerUrl, cause, send};

/// A local interface that does not answer in this time has hung.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Envoy's admin interface. Parses from `http://host:port` or `unix:/path/of/socket`.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
    base: ServerUrl,
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    name: String,
    /// Present if the endpoints come from the endpoint file.
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
        let (client, url) = match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => (client.unix_socket(path), "http://envoy"),
            _ => (client, text),
        };
        Ok(Self { client: client.build()?, base: ServerUrl::parse("--admin", url)? })
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}

impl Admin {
    /// Returns the names of all clusters in use, or the addresses of the endpoints that every cluster fed from the
    /// endpoint file has. A cluster that is still warming up is not in use. Envoy's main thread has queued everything
    /// that it lists to every worker, so whatever it queues later (a ring) arrives after it. With `resolved`, leaves out
    /// clusters whose name DNS has not resolved yet.
    ///
    /// `None`: the address refuses connections, so there is no Envoy to wait for.
    ///
    /// # Errors
    /// The answer is not one of Envoy's admin interface.
    pub(super) fn listed(
        &self,
        kind: UpstreamKind,
        resolved: bool,
    ) -> anyhow::Result<Option<BTreeSet<String>>> {
        let mut url = self.base.at(&["clusters"]);
        url.set_query(Some("format=json"));
        let who = format!("Envoy's admin interface at {}", self.base);
        let response = match send(self.client.get(url), AnswerLimits::of_agent(TIMEOUT)) {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Ok(None),
            Err(error) => return Err(anyhow!("{who}: {}", cause(error))),
        };
        ensure!(response.status().is_success(), "{who}: {}; check --admin", response.failure());
        let listed: Clusters = response.json(&format!("{who}; check --admin"))?;
        let clusters = listed.cluster_statuses.into_iter();
        Ok(Some(match kind {
            UpstreamKind::Cluster => clusters
                .filter(|cluster| !resolved || !cluster.host_statuses.is_empty())
                .map(|cluster| cluster.name)
                .collect(),
            UpstreamKind::Endpoint => clusters
                .filter(|cluster| cluster.eds_service_name.is_some())
                .map(|cluster| {
                    cluster.host_statuses.iter().filter_map(|host| address(&host.address)).collect()
                })
                .reduce(|all: BTreeSet<_>, more| &all & &more)
                .unwrap_or_default(),
        }))
    }
}
