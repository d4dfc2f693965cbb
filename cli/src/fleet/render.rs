//! Renders the files that Envoy reads: the only place that knows their format.
//!
//! `pushring publish`, the tests, the demo and the benchmarks all get their files from here.

use std::net::IpAddr;
use std::path::Path;

use pushring_ring::hash::key_hash;
use pushring_router::Router;
use serde_json::{Value, json};

use super::access::{Access, Scheme};
use super::address::GatewayAddress;
use super::render_access::cluster_fields;
pub use super::render_access::secrets;
use crate::parse;

/// `ring.yaml` of the Wasm filter up to its configuration, and the module in it.
const WASM: (&str, &str) = (include_str!("ring.yaml"), "/etc/pushring/pushring_filter.wasm");
/// The same for the native module.
const NATIVE: (&str, &str) = (include_str!("native_ring.yaml"), "/etc/pushring/libpushring_native.so");
/// The digest of the configuration in both.
const DIGEST: &str = "DIGEST";

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
  track_cluster_stats: {{ per_endpoint_stats: true }}
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
    let items: Vec<String> = clusters.iter().map(|cluster| cluster.render(access, live)).collect();
    let version = version_of_yaml(&items);
    let list = if items.is_empty() { " []\n" } else { "\n" };
    format!(
        "# One cluster per registered Pushgateway, passing or not; ring.yaml names those that get pushes. Rendered by \
         pushring.\nversion_info: \"{version}\"\nresources:{list}{}",
        items.concat()
    )
}

/// Renders `endpoints.yaml` (EDS), for endpoint mode.
#[must_use]
pub fn endpoints(endpoints: &[Endpoint]) -> String {
    let item = |endpoint: &Endpoint| format!("    {}{}", endpoint.render(), endpoint.metadata());
    let items: Vec<String> = endpoints.iter().map(item).collect();
    let version = version_of_yaml(&items);
    let list = if items.is_empty() { " []\n" } else { "\n" };
    format!(
        r#"# The address of every registered Pushgateway, passing or not; ring.yaml names those that get pushes. Rendered by
# pushring.
version_info: "{version}"
resources:
- "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: pushgateway
  endpoints:
  - lb_endpoints:{list}{}"#,
        items.concat()
    )
}

/// Returns 16 hex digits over the clusters or endpoints of a file, each as JSON, in any order.
///
/// A path counts by its last segment: Envoys that agree may have their files in different folders.
pub(crate) fn version<'i>(items: impl Iterator<Item = &'i str>) -> String {
    let last_segment = |part: &'i str| match part.rsplit_once('/') {
        Some((_, last)) if part.starts_with('/') => last,
        _ => part,
    };
    let mut items: Vec<String> =
        items.map(|item| item.split('"').map(last_segment).collect::<Vec<_>>().join("\"")).collect();
    items.sort_unstable();
    format!("{:016x}", key_hash(items.join("\n").as_bytes()))
}

/// Returns the [`version`] of items that are YAML lists of one item each, as rendered here.
fn version_of_yaml(items: &[String]) -> String {
    let json =
        |item: &String| parse::yaml::<[Value; 1]>(item).map(|[item]| item.to_string()).unwrap_or_default();
    let items: Vec<String> = items.iter().map(json).collect();
    version(items.iter().map(String::as_str))
}

/// Returns whether a module is the native one: a shared object.
#[must_use]
pub fn is_native(module: &Path) -> bool {
    module.extension().is_some_and(|extension| extension == "so")
}

/// Renders `ring.yaml` (ECDS), for every mode: `config` is the filter's configuration (JSON), `module` the Wasm filter or the
/// native module as Envoy finds it. Checks neither of them; a configuration that the filter would reject has no digest.
#[must_use]
pub fn ring(config: &str, module: &Path) -> String {
    let (ring, shipped) = if is_native(module) { NATIVE } else { WASM };
    let digest = Router::parse(config.as_bytes()).map(|router| router.digest()).unwrap_or_default();
    let mut text = ring.replace(DIGEST, &digest).replace(shipped, &scalar(&module.to_string_lossy()));
    text.extend(config.lines().map(|line| format!("          {line}\n")));
    text
}

/// Quotes what YAML would read as more than a plain word.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { json!(text).to_string() }
}
