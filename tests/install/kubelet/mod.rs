//! A small kubelet and scheduler. It runs the pods of every namespace on one node: containers are real processes with the files
//! and the network of their pod. Differences to a real one:
//!
//! - Programs come from a table of images, not from a registry, and run with the libraries of this machine.
//! - All processes are root of the test's own namespaces; limits of CPU and memory, users and network policies have no effect.
//! - A probe waits for at least ten seconds, because the machine of a test is busy.
//! - There are no service addresses: the name of a service stands for its ready pods.
//! - An object that it does not support is an error in the status of the pod, never ignored.

mod api;
mod containers;
mod environment;
mod images;
mod names;
mod pods;
mod probes;
mod root;
mod status;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use pushring_harness::{Kubernetes, Process};
use serde_json::{Value, json};

pub(crate) use api::Api;

/// The pause between two looks at the pods.
const TICK: Duration = Duration::from_millis(100);
/// The only node.
const NODE: &str = "node-1";

/// A running kubelet. Dropping it kills all containers.
pub(crate) struct Kubelet {
    pub(crate) node: Arc<Node>,
    _proxy: Process,
    main: Option<JoinHandle<()>>,
}

/// The parts that all pods share.
pub(crate) struct Node {
    /// The API server by plain HTTP, as an administrator.
    pub(crate) api: SocketAddr,
    /// The files of pods and volumes.
    folder: PathBuf,
    /// The pods as last seen, by UID.
    pods: Mutex<BTreeMap<String, Value>>,
    next_address: AtomicU8,
    stop: AtomicBool,
}

impl Kubelet {
    /// Starts it. `folder` must be on a file system of the test's own.
    pub(crate) fn start(servers: &Kubernetes, folder: PathBuf) -> Result<Self> {
        let (proxy, api) = servers.proxy()?;
        let (pods, stop) = (Mutex::default(), AtomicBool::new(false));
        let node = Arc::new(Node { api, folder, pods, next_address: AtomicU8::new(10), stop });
        let shared = Arc::clone(&node);
        let main = Some(thread::spawn(move || shared.run()));
        Ok(Self { node, _proxy: proxy, main })
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.node.stop.store(true, Ordering::Relaxed);
        if let Some(main) = self.main.take() {
            let _ = main.join();
        }
    }
}

impl Node {
    /// Runs pods until the end.
    fn run(self: &Arc<Self>) {
        let api = Api::new(self.api).expect("a client");
        let (mut known, mut workers) = (BTreeSet::new(), Vec::new());
        while !self.stop.load(Ordering::Relaxed) {
            match self.look(&api) {
                Ok(new) => {
                    for uid in new.into_iter().filter(|uid| known.insert(uid.clone())) {
                        let node = Arc::clone(self);
                        workers.push(thread::spawn(move || pods::run(&node, &uid)));
                    }
                }
                Err(error) => eprintln!("kubelet: {error:#}"),
            }
            thread::sleep(TICK);
        }
        for worker in workers {
            let _ = worker.join();
        }
    }

    /// Reads all pods, gives those without a node this one, binds claims of volumes, and returns the UIDs of pods to run.
    fn look(&self, api: &Api) -> Result<Vec<String>> {
        let list = api.get("/api/v1/pods")?.context("no pods")?;
        let (mut pods, mut run) = (BTreeMap::new(), Vec::new());
        for pod in list["items"].as_array().into_iter().flatten() {
            if pod["spec"]["nodeName"].is_null() {
                bind(api, pod)?;
                continue;
            }
            let uid = text(&pod["metadata"]["uid"]);
            run.push(uid.clone());
            pods.insert(uid, pod.clone());
        }
        *self.pods.lock().unwrap() = pods;
        bind_claims(api)?;
        names::write(api, &self.folder)?;
        Ok(run)
    }

    /// Returns a pod as last seen; `None` if it is gone, or at the end of the test.
    fn pod(&self, uid: &str) -> Option<Value> {
        let running = !self.stop.load(Ordering::Relaxed);
        self.pods.lock().unwrap().get(uid).filter(|_| running).cloned()
    }
}

fn bind(api: &Api, pod: &Value) -> Result<()> {
    let metadata = &pod["metadata"];
    let path = format!("{}/binding", pod_path(metadata));
    let target = json!({"apiVersion": "v1", "kind": "Node", "name": NODE});
    let name = json!({"name": metadata["name"]});
    api.post(&path, &json!({"apiVersion": "v1", "kind": "Binding", "metadata": name, "target": target}))
        .map(drop)
}

fn bind_claims(api: &Api) -> Result<()> {
    let claims = api.get("/api/v1/persistentvolumeclaims")?.context("no claims")?;
    for claim in claims["items"].as_array().into_iter().flatten() {
        if claim["status"]["phase"] != "Bound" {
            let metadata = &claim["metadata"];
            let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
            let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}/status");
            api.patch(&path, &json!({"status": {"phase": "Bound"}}))?;
        }
    }
    Ok(())
}

fn pod_path(metadata: &Value) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", text(&metadata["namespace"]), text(&metadata["name"]))
}

/// Returns a string of an object; an empty one if it is absent.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns the elements of a list; none if it is absent.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
