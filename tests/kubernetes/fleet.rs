//! A StatefulSet of gateways whose pods the test runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use pushring_harness::kubernetes::{PORT, service, workload};
use pushring_harness::{Pushgateway, poll_until};
use serde_json::Value;

use super::cluster::Cluster;

/// The gateways that run, by the names of their pods.
pub(crate) struct Fleet {
    pub(crate) gateways: BTreeMap<String, Pushgateway>,
    next_address: u8,
}

impl Fleet {
    /// Creates the service and the StatefulSet, and runs its pods.
    pub(crate) fn start(cluster: &Cluster, replicas: usize) -> Self {
        cluster.apply(&service());
        cluster.apply(&workload("StatefulSet", replicas));
        let mut fleet = Self { gateways: BTreeMap::new(), next_address: 1 };
        for index in 0..replicas {
            fleet.run(cluster, &pod(index));
        }
        fleet
    }

    /// Starts a gateway for a pod as soon as the controller has created it, at a new address, and reports it as ready.
    pub(crate) fn run(&mut self, cluster: &Cluster, pod: &str) -> SocketAddr {
        let ip = format!("10.77.0.{}", self.next_address);
        self.next_address += 1;
        let added = Command::new("ip").args(["address", "add", &format!("{ip}/32"), "dev", "lo"]).status();
        assert!(added.unwrap().success());
        let address = SocketAddr::new(ip.parse().unwrap(), PORT);
        let gateway = Pushgateway::start_at(cluster.dir.path(), address, &[]).unwrap();
        self.gateways.insert(pod.to_owned(), gateway);
        wait_for(cluster, pod);
        set_ready(cluster, pod, &ip, true);
        address
    }

    /// Ends a pod as the kubelet does: first the gateway, then the pod object.
    pub(crate) fn end(&mut self, cluster: &Cluster, pod: &str) {
        cluster.kubectl(&["delete", "pod", pod, "--wait=false"]);
        drop(self.gateways.remove(pod));
        cluster.kubectl(&["delete", "pod", pod, "--force", "--grace-period=0", "--wait=false"]);
    }

    pub(crate) fn address(&self, pod: &str) -> String {
        self.gateways[pod].address.to_string()
    }
}

pub(crate) fn pod(index: usize) -> String {
    format!("pushgateway-{index}")
}

/// Returns the names of the first pods.
pub(crate) fn pods(replicas: usize) -> Vec<String> {
    (0..replicas).map(pod).collect()
}

/// Sets address and readiness in the status of a pod.
pub(crate) fn set_ready(cluster: &Cluster, pod: &str, ip: &str, ready: bool) {
    cluster.servers.set_ready(pod, ip, ready).unwrap();
}

/// Waits until the controller has created a pod that does not end.
fn wait_for(cluster: &Cluster, pod: &str) {
    let created = || {
        let found = cluster.kubectl(&["get", "pods", "-o", "json"]);
        let list: Value = serde_json::from_str(&found).unwrap();
        let alive = |one: &Value| {
            one["metadata"]["name"] == pod
                && one["metadata"]["deletionTimestamp"].is_null()
                && one["status"]["podIP"].is_null()
        };
        list["items"].as_array().unwrap().iter().any(alive).then_some(())
    };
    poll_until(&format!("the pod {pod}"), created).unwrap();
}
