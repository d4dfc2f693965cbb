//! Renders the files that Envoy reads: the only place that knows their format.
//!
//! `pushring publish`, the tests, the demo and the benchmarks all get their files from here.

use std::net::IpAddr;
use std::path::Path;

use serde_json::json;

use super::access::{Access, Scheme};
use super::address::GatewayAddress;
use super::render_access::cluster_fields;
pub use super::render_access::secrets;

/// `ring.yaml` up to the filter's configuration.
const RING: &str = include_str!("ring.yaml");
/// The filter's module in [`RING`].
const WASM: &str = "/etc/pushring/pushring_filter.wasm";

/// Host and port of a gateway, as Envoy's `socket_address` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name, or IP address without brackets.
    pub host: String,
    /// Port, at least 1.
    pub port: u16,
    /// Its protocol.
    pub scheme: Scheme,
}

impl Endpoint {
    pub(super) fn new(address: &GatewayAddress, scheme: Scheme) -> Self {
        Self { host: address.host().to_owned(), port: address.port(), scheme }
    }

    /// Returns `host:port`, with an IPv6 host in brackets.
    pub(crate) fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Reports whether the host is an IP address and not a name that Envoy has to resolve.
    #[must_use]
    pub fn is_ip(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    fn render(&self) -> String {
        let (host, port) = (json!(self.host), self.port);
        format!(
            "- endpoint: {{ address: {{ socket_address: {{ address: {host}, port_value: {port} }} }} }}\n"
        )
    }

    /// In endpoint mode, the clusters in Envoy's own configuration select TLS by this metadata.
    fn metadata(&self) -> &'static str {
        match self.scheme {
            Scheme::Http => "",
            Scheme::Https => {
                "      metadata: { filter_metadata: { envoy.transport_socket_match: { scheme: https } } }\n"
            }
        }
    }
}

/// A cluster with one gateway, in cluster mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Name that the filter writes into the destination header.
    pub name: String,
    /// The gateway.
    pub endpoint: Endpoint,
}

impl Cluster {
    fn render(&self, access: &Access, live: &Path) -> String {
        let name = json!(self.name);
        let stat_name = json!(self.name.replace(['.', ':'], "_"));
        // With STRICT_DNS, a name with two addresses would have each group on both. Envoy must not wait for a silent DNS
        // server: it would hold back every other change.
        let discovery =
            if self.endpoint.is_ip() { "STATIC" } else { "LOGICAL_DNS\n  wait_for_warm_on_init: false" };
        let fields = cluster_fields(&self.endpoint, access, live);
        let endpoint = self.endpoint.render();
        format!(
            r#"- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: {name}
  # Dots and colons would split the name in Envoy's statistics.
  alt_stat_name: {stat_name}
  type: {discovery}
  connect_timeout: 1s
  circuit_breakers:
    thresholds: [{{ max_connections: 10000, max_pending_requests: 10000, max_requests: 10000, max_retries: 10000 }}]
{fields}  load_assignment:
    cluster_name: {name}
    endpoints:
    - lb_endpoints:
      {endpoint}"#
        )
    }
}

/// Renders `clusters.yaml` (CDS), for cluster mode. `live` is the live folder as Envoy finds it.
#[must_use]
pub fn clusters(clusters: &[Cluster], access: &Access, live: &Path) -> String {
    let mut text = String::from(
        "# One cluster per registered Pushgateway, passing or not; ring.yaml names those that get pushes. Rendered by \
         pushring.\nresources:",
    );
    text += if clusters.is_empty() { " []\n" } else { "\n" };
    text.extend(clusters.iter().map(|cluster| cluster.render(access, live)));
    text
}

/// Renders `endpoints.yaml` (EDS), for endpoint mode.
#[must_use]
pub fn endpoints(endpoints: &[Endpoint]) -> String {
    let mut text = String::from(
        r#"# The address of every registered Pushgateway, passing or not; ring.yaml names those that get pushes. Rendered by
# pushring.
resources:
- "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: pushgateway
  endpoints:
  - lb_endpoints:"#,
    );
    text += if endpoints.is_empty() { " []\n" } else { "\n" };
    text.extend(endpoints.iter().map(|endpoint| format!("    {}{}", endpoint.render(), endpoint.metadata())));
    text
}

/// Renders `ring.yaml` (ECDS), for every mode: `config` is the filter's configuration (JSON), `wasm` the filter's module
/// as Envoy finds it. Checks neither of them.
#[must_use]
pub fn ring(config: &str, wasm: &Path) -> String {
    let mut text = RING.replace(WASM, &scalar(&wasm.to_string_lossy()));
    text.extend(config.lines().map(|line| format!("          {line}\n")));
    text
}

/// Quotes what YAML would read as more than a plain word.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { json!(text).to_string() }
}
