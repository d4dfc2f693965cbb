//! Clusters and endpoints as Envoy's files and its admin interface name them.

use std::net::{IpAddr, SocketAddr};

use pushring_router::Mode;
use serde_json::Value;

/// The clusters (CDS), in cluster mode.
pub const CLUSTERS_FILE: &str = "clusters.yaml";
/// The endpoints (EDS), in endpoint mode.
pub const ENDPOINTS_FILE: &str = "endpoints.yaml";
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

    /// Returns where the list is in the file: fields and indexes.
    pub(super) fn list_at(self) -> &'static [&'static str] {
        match self {
            Self::Cluster => &["resources"],
            Self::Endpoint => &["resources", "0", "endpoints", "0", "lb_endpoints"],
        }
    }

    pub(super) fn name_of(self, item: &Value) -> Option<String> {
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
