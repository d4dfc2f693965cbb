//! The file of clusters or endpoints: which names it has, and how the old and the new one merge.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, ensure};
use pushring_router::Mode;
use serde_json::Value;

use super::options::{CLUSTERS_FILE, ENDPOINTS_FILE};
use crate::fleet::members::Members;
use crate::fleet::render;

/// Where Envoy sends a push. Its name is what the ring names: the cluster, or the address of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UpstreamKind {
    Cluster,
    Endpoint,
}

impl UpstreamKind {
    /// Returns `None` in redirect mode, where Envoy sends no push anywhere.
    pub(super) fn of(mode: Mode) -> Option<Self> {
        match mode {
            Mode::Cluster => Some(Self::Cluster),
            Mode::Endpoint => Some(Self::Endpoint),
            Mode::Redirect => None,
        }
    }

    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Cluster => CLUSTERS_FILE,
            Self::Endpoint => ENDPOINTS_FILE,
        }
    }

    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
        }
    }

    pub(super) fn render(self, members: &Members) -> String {
        match self {
            Self::Cluster => render::clusters(&members.clusters),
            Self::Endpoint => render::endpoints(&members.endpoints),
        }
    }

    /// Returns where the list is in the file (RFC 6901).
    fn list_at(self) -> &'static str {
        match self {
            Self::Cluster => "/resources",
            Self::Endpoint => "/resources/0/endpoints/0/lb_endpoints",
        }
    }

    fn name_of(self, item: &Value) -> Option<String> {
        match self {
            Self::Cluster => item["name"].as_str().map(str::to_owned),
            Self::Endpoint => address(&item["endpoint"]["address"]),
        }
    }
}

/// Converts Envoy's `Address` to the text that the ring has for it.
pub(super) fn address(address: &Value) -> Option<String> {
    let socket = &address["socket_address"];
    let ip: IpAddr = socket["address"].as_str()?.parse().ok()?;
    let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
    Some(SocketAddr::new(ip, port).to_string())
}

/// A cluster file (CDS), or an endpoint file (EDS) with one list. The fields of an item are passed on as they are.
#[derive(Clone, Debug)]
pub(super) struct Upstreams {
    kind: UpstreamKind,
    document: Value,
    names: Vec<String>,
}

impl Upstreams {
    /// Parses a file; one without any resource has an empty list.
    pub(super) fn parse(kind: UpstreamKind, text: &str) -> anyhow::Result<Self> {
        let document: Value = serde_saphyr::from_str(text)?;
        let empty = document["resources"].as_array().is_some_and(Vec::is_empty);
        let at = kind.list_at();
        ensure!(empty || document.pointer(at).is_some_and(Value::is_array), "found no list at {at}");
        let mut names = Vec::new();
        for (index, item) in list(&document, kind).iter().enumerate() {
            let name = kind.name_of(item);
            names.push(name.with_context(|| format!("{at}/{index}: found no name or address"))?);
        }
        Ok(Self { kind, document, names })
    }

    pub(super) fn empty(kind: UpstreamKind) -> Self {
        Self { kind, document: Value::Null, names: Vec::new() }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    pub(super) fn names_not_in(&self, others: &Self) -> Vec<String> {
        self.names.iter().filter(|name| !others.contains(name)).cloned().collect()
    }

    /// Appends the items of `other` that `kept` names.
    pub(super) fn with(mut self, other: &Self, kept: &[String]) -> Self {
        let Some(Value::Array(own)) = self.document.pointer_mut(self.kind.list_at()) else { return self };
        for (name, item) in other.by_name().into_iter().filter(|(name, _)| kept.iter().any(|k| k == name)) {
            own.push(item.clone());
            self.names.push(name.to_owned());
        }
        self
    }

    /// Reports whether Envoy would see no difference.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.by_name() == other.by_name()
    }

    pub(super) fn to_text(&self) -> anyhow::Result<String> {
        Ok(serde_saphyr::to_string(&self.document)?)
    }

    fn by_name(&self) -> BTreeMap<&str, &Value> {
        self.names.iter().map(String::as_str).zip(list(&self.document, self.kind)).collect()
    }
}

fn list(document: &Value, kind: UpstreamKind) -> &[Value] {
    document.pointer(kind.list_at()).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
