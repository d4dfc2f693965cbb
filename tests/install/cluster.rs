//! A cluster in which pods run; its functions panic.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use pushring_harness::kubernetes::Control;
use pushring_harness::{Kubernetes, poll_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::endpoints;
use super::kubelet::{Kubelet, list, text};

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

    /// Kills the program of a container, which has the name of the container, as the kernel does if memory is short. Waits until
    /// the container runs again.
    pub(crate) fn kill(&self, pod: &str, container: &str) {
        let restarts = |pod: &Value| {
            let all = list(&pod["status"]["containerStatuses"]);
            let one = all.iter().find(|one| one["name"] == container).expect("a container");
            one["restartCount"].as_u64().expect("a number")
        };
        let before = self.get(&["pod", pod]);
        // The kubelet calls the network of a pod by the end of its address.
        let ip = text(&before["status"]["podIP"]);
        let machine = format!("pod{}", ip.rsplit('.').next().expect("an address"));
        let output = Command::new("ip").args(["netns", "pids", &machine]).output().expect("iproute2");
        let pids = String::from_utf8(output.stdout).expect("numbers");
        let runs = |pid: &&str| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == container)
        };
        let pid =
            pids.lines().find(runs).unwrap_or_else(|| panic!("{pod} has no process {container}: {pids}"));
        kill_process(Pid::from_raw(pid.parse().expect("a number")).expect("not 0"), Signal::KILL).unwrap();
        let again = || (restarts(&self.get(&["pod", pod])) > restarts(&before)).then_some(());
        poll_until(&format!("{container} of {pod} to run again"), again).unwrap();
    }

    /// Returns an object or a list as JSON.
    pub(crate) fn get(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["get", "-o", "json"].iter().chain(args).copied().collect();
        serde_json::from_str(&self.kubectl(&args)).unwrap()
    }
}
