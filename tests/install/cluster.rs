//! A cluster in which pods run; its functions panic.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use pushring_harness::Kubernetes;
use pushring_harness::kubernetes::Control;
use serde_json::Value;
use tempfile::TempDir;

use super::endpoints;
use super::kubelet::Kubelet;

/// A control plane and one node. Dropping it ends all pods, then the servers.
pub(crate) struct Cluster {
    kubelet: Kubelet,
    pub(crate) servers: Kubernetes,
    _dir: TempDir,
}

impl Cluster {
    /// Starts it; the caller is in namespaces of its own.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let servers = Kubernetes::start_with(dir.path(), Control::Pods).unwrap();
        // /run belongs to the test.
        let folder = PathBuf::from("/run/kubelet");
        fs::create_dir_all(&folder).unwrap();
        let kubelet = Kubelet::start(&servers, folder).unwrap();
        Self { kubelet, servers, _dir: dir }
    }

    /// Runs `kubectl` as an administrator in the namespace of the gateways.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.servers.kubectl(args, "").unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Returns the address of the API server for an administrator, by plain HTTP.
    pub(crate) fn api(&self) -> SocketAddr {
        self.kubelet.node.api
    }

    pub(crate) fn apply(&self, manifests: &str) {
        self.servers.kubectl(&["apply", "-f", "-"], manifests).unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Returns the addresses that a service sends new connections to, by the names of their pods.
    pub(crate) fn ready(&self, service: &str) -> BTreeMap<String, SocketAddr> {
        let label = format!("--selector=kubernetes.io/service-name={service}");
        endpoints::ready(&self.get(&["endpointslices", &label]))
    }

    /// Returns an object or a list as JSON.
    pub(crate) fn get(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["get", "-o", "json"].iter().chain(args).copied().collect();
        serde_json::from_str(&self.kubectl(&args)).unwrap()
    }
}
