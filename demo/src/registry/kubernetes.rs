//! A StatefulSet in a Kubernetes control plane without nodes: the demo runs its pods, as a kubelet does.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use anyhow::Result;
use pushring_harness::kubernetes::{PORT, service, workload};
use pushring_harness::{Kubernetes, Process, network, poll_until};
use serde_json::{Deserializer, Value};

use super::{Place, Registry, Server, Step};
use crate::fleet::Fleet;
use crate::screen;

/// The addresses of pods.
pub(crate) const PODS: &str = "10.77.0.0/16";
/// A pod that returns keeps its place on the ring in the meantime.
const HOLD: &str = "--hold=10s";

/// The cluster and the pods that run. Dropping it stops the servers.
#[derive(Debug)]
pub(super) struct Cluster {
    watch: Process,
    /// Bytes of the watch that were read.
    read: usize,
    /// By their unique IDs.
    pods: BTreeMap<String, Pod>,
    /// Number of addresses that were given to pods.
    addresses: u16,
    servers: Kubernetes,
}

#[derive(Debug)]
struct Pod {
    name: String,
    address: SocketAddr,
}

/// Returns the address of the pod that starts after `index` others.
pub(crate) fn pod_address(index: u16) -> SocketAddr {
    let [high, low] = (index + 1).to_be_bytes();
    ([10, 77, high, low], PORT).into()
}

impl Cluster {
    pub(super) fn start(place: &Place<'_>, fleet: &mut Fleet) -> Result<Self> {
        let dir = place.dir.join("kubernetes");
        fs::create_dir(&dir)?;
        let servers = screen::step("etcd, kube-apiserver, controllers", || Kubernetes::start(&dir))?;
        let replicas = place.gateways.len();
        servers.apply(&service())?;
        servers.apply(&workload("StatefulSet", replicas))?;
        let watch = watch(&servers)?;
        let mut cluster = Self { watch, read: 0, pods: BTreeMap::new(), addresses: 0, servers };
        poll_until("the pods to be ready", || {
            let ready = cluster.follow_pods(fleet).and_then(|()| cluster.ready());
            match ready {
                Ok(ready) if ready < replicas => None,
                other => Some(other.map(drop)),
            }
        })??;
        Ok(cluster)
    }

    /// Returns the number of ready endpoints of the service.
    fn ready(&self) -> Result<usize> {
        let slices: Value =
            serde_json::from_str(&self.servers.kubectl(&["get", "endpointslices", "-o", "json"], "")?)?;
        let slices = slices["items"].as_array().into_iter().flatten();
        let endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
        Ok(endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true).count())
    }

    /// Starts and ends gateways as their pods do.
    fn follow_pods(&mut self, fleet: &mut Fleet) -> Result<()> {
        if self.watch.ended().is_some() {
            // The API server ends each after an hour. The next one begins with all pods.
            self.read = self.watch.log().len();
            self.watch = watch(&self.servers)?;
        }
        let log = self.watch.log();
        let unread = log.get(self.read..).unwrap_or_default();
        let mut events = Deserializer::from_str(unread).into_iter::<Value>();
        let mut read = 0;
        // The last event may be incomplete.
        while let Some(Ok(event)) = events.next() {
            read = events.byte_offset();
            self.follow_pod(&event, fleet)?;
        }
        self.read += read;
        Ok(())
    }

    fn follow_pod(&mut self, event: &Value, fleet: &mut Fleet) -> Result<()> {
        let metadata = &event["object"]["metadata"];
        let (Some(name), Some(uid)) = (metadata["name"].as_str(), metadata["uid"].as_str()) else {
            return Ok(());
        };
        let ends = !metadata["deletionTimestamp"].is_null();
        if event["type"] == "DELETED" || ends {
            // Later events of the same pod, whose name may have a new one by now.
            let Some(pod) = self.pods.remove(uid) else { return Ok(()) };
            fleet.stop(pod.address);
            screen::event(format_args!("pod {name} at {} ends", pod.address));
            if event["type"] != "DELETED" {
                self.servers.kubectl(
                    &[
                        "delete",
                        "pod",
                        name,
                        "--ignore-not-found",
                        "--force",
                        "--grace-period=0",
                        "--wait=false",
                    ],
                    "",
                )?;
            }
        } else if !self.pods.contains_key(uid) {
            let address = pod_address(self.addresses);
            self.addresses += 1;
            fleet.start(address)?;
            self.pods.insert(uid.to_owned(), Pod { name: name.to_owned(), address });
            self.servers.set_ready(name, &address.ip().to_string(), true)?;
            screen::event(format_args!("pod {name} runs at {address}"));
        }
        Ok(())
    }

    /// Starts the containers again that have ended.
    fn restart_containers(&self, fleet: &mut Fleet) -> Result<()> {
        for (address, status) in fleet.ended() {
            let Some(pod) = self.pods.values().find(|pod| pod.address == address) else { continue };
            let ip = address.ip().to_string();
            screen::problem(format_args!("the container of pod {} ended ({status})", pod.name));
            self.servers.set_ready(&pod.name, &ip, false)?;
            fleet.start(address)?;
            self.servers.set_ready(&pod.name, &ip, true)?;
            screen::event(format_args!("Kubernetes started it again at {address}"));
        }
        Ok(())
    }

    fn kubectl(&self, args: &str) -> String {
        let kubeconfig = self.servers.kubeconfig();
        format!("target/tools/bin/kubectl --kubeconfig {} {args}", screen::short(&kubeconfig))
    }
}

fn watch(servers: &Kubernetes) -> Result<Process> {
    let mut command = servers.kubectl_command()?;
    command.args(["get", "pods", "--watch", "--output-watch-events", "--output=json"]);
    Process::start("pods", command, servers.dir())
}

impl Registry for Cluster {
    fn flags(&self) -> Vec<String> {
        let kubeconfig = screen::short(&self.servers.kubeconfig());
        vec!["--from=kubernetes".to_owned(), format!("--kubeconfig={kubeconfig}"), HOLD.to_owned()]
    }

    fn guide(&self, _spare: SocketAddr, members: &[(SocketAddr, u32)]) -> Vec<Step> {
        let scale = |replicas| self.kubectl(&format!("scale statefulset pushgateway --replicas={replicas}"));
        vec![
            Step::new("List the pods:", [self.kubectl("get pods -o wide")]),
            Step::new(
                "Scale out; the new pod becomes a member when it is ready:",
                [scale(members.len() + 1)],
            ),
            Step::new(
                "Delete a pod. It returns with another address under its name, keeps its place \
                 on the ring in the meantime (--hold), and so moves no group:",
                [self.kubectl("delete pod pushgateway-0 --wait=false")],
            ),
            Step::new("Scale in:", [scale(members.len())]),
        ]
    }

    fn member(&self, address: SocketAddr) -> String {
        let pod = self.pods.values().find(|pod| pod.address == address);
        pod.map_or_else(|| address.to_string(), |pod| pod.name.clone())
    }

    fn enter(&self) -> Option<String> {
        Some(network::enter_command())
    }

    fn tick(&mut self, fleet: &mut Fleet) -> Result<()> {
        self.follow_pods(fleet)?;
        self.restart_containers(fleet)
    }

    fn servers(&mut self) -> Vec<Server<'_>> {
        let Kubernetes { controllers, api, etcd, .. } = &mut self.servers;
        let servers = [("kube-controller-manager", controllers), ("kube-apiserver", api), ("etcd", etcd)];
        servers
            .into_iter()
            .map(|(name, process)| Server { name: name.to_owned(), process, restart: None })
            .collect()
    }
}
