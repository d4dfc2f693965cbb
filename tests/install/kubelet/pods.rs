//! One pod: its network, its volumes, and its containers in their order.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pushring_harness::machine;
use serde_json::{Value, json};

use super::containers::{Container, Kind, Place};
use super::status::{self, Reporter};
use super::volumes::Volumes;
use super::{Api, Node, TICK, names, pod_path, text};

/// How often volumes that show objects are brought up to date.
const REFRESH: Duration = Duration::from_secs(1);
/// How long the sidecars of a pod that is complete may take to end.
const SIDECAR_GRACE: Duration = Duration::from_secs(30);

struct Pod {
    api: Api,
    folder: PathBuf,
    names: PathBuf,
    machine: String,
    ip: String,
    volumes: Volumes,
    refreshed: Option<Instant>,
    containers: Vec<Container>,
    initialized: bool,
    reporter: Reporter,
    /// The end of its grace period, once it is deleted or complete.
    deadline: Option<Instant>,
}

/// Runs a pod until it is deleted.
pub(crate) fn run(node: &Node, uid: &str) {
    let Some(object) = node.pod(uid) else { return };
    let name = text(&object["metadata"]["name"]);
    let outcome = Pod::create(node, uid, &object).and_then(|mut pod| {
        let outcome = pod.live(node, uid);
        pod.remove()?;
        outcome
    });
    if let Err(error) = outcome {
        eprintln!("kubelet: pod {name}: {error:#}");
    }
}

impl Pod {
    fn create(node: &Node, uid: &str, object: &Value) -> Result<Self> {
        let number = node.next_address.fetch_add(1, Ordering::Relaxed);
        let ip = IpAddr::from([10, 77, 0, number]).to_string();
        let machine = format!("pod{number}");
        machine::add(&machine, &[&ip])?;
        let folder = node.folder.join("pods").join(uid);
        fs::create_dir_all(&folder)?;
        let volumes = Volumes::new(folder.join("volumes"), node.folder.join("claims"), &ip);
        Ok(Self {
            api: Api::new(node.api)?,
            folder,
            names: names::folder(&node.folder),
            machine,
            ip,
            volumes,
            refreshed: None,
            containers: Container::all(object),
            initialized: false,
            reporter: Reporter::default(),
            deadline: None,
        })
    }

    /// Runs it until it is deleted and its containers have ended, or its object is gone.
    fn live(&mut self, node: &Node, uid: &str) -> Result<()> {
        let mut last = String::new();
        while let Some(object) = node.pod(uid) {
            let problem = match self.step(&object) {
                Ok(true) => return self.delete_object(&object),
                Ok(false) => String::new(),
                Err(error) => format!("{error:#}"),
            };
            if problem != last && !problem.is_empty() {
                eprintln!("kubelet: {}: {problem}", text(&object["metadata"]["name"]));
            }
            last = problem;
            // The object may just have been deleted.
            let reported =
                self.reporter.report(&self.api, &object, &self.ip, &self.containers, self.initialized, &last);
            if let Err(error) = reported.filter_gone() {
                eprintln!("kubelet: status of {}: {error:#}", text(&object["metadata"]["name"]));
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// Brings it closer to its object. Returns whether it is deleted and has ended.
    fn step(&mut self, object: &Value) -> Result<bool> {
        let complete = || status::is_complete(object, &self.containers).then_some(SIDECAR_GRACE);
        let deleted = grace(object);
        if let (None, Some(grace)) = (self.deadline, deleted.or_else(complete)) {
            self.deadline = Some(Instant::now() + grace);
        }
        if let Some(deadline) = self.deadline {
            let ended = self.end(object, deadline)?;
            self.probe()?;
            return Ok(ended && deleted.is_some());
        }
        if self.refreshed.is_none_or(|last| last.elapsed() > REFRESH) {
            self.volumes.refresh(&self.api, object)?;
            self.refreshed = Some(Instant::now());
        }
        self.start(object)?;
        self.probe()?;
        Ok(false)
    }

    fn start(&mut self, object: &Value) -> Result<()> {
        for index in 0..self.containers.len() {
            let (place, containers) = self.parts(object);
            let container = &mut containers[index];
            container.reap();
            let is_done =
                container.kind == Kind::Init && container.ended.is_some_and(|status| status.success());
            if !is_done {
                container.start(&place)?;
            }
            let holds_others = match container.kind {
                Kind::Init => !is_done,
                Kind::Sidecar => !container.started,
                Kind::Main => false,
            };
            if holds_others && !self.initialized {
                return Ok(());
            }
        }
        self.initialized = true;
        Ok(())
    }

    /// Ends the containers; sidecars after all others, the last one first.
    fn end(&mut self, object: &Value, deadline: Instant) -> Result<bool> {
        let (place, containers) = self.parts(object);
        let (sidecars, others): (Vec<_>, Vec<_>) =
            containers.iter_mut().partition(|container| container.kind == Kind::Sidecar);
        let mut ended = true;
        for container in others {
            ended &= container.end(&place, deadline)?;
        }
        for container in sidecars.into_iter().rev() {
            ended = ended && container.end(&place, deadline)?;
        }
        Ok(ended)
    }

    fn probe(&mut self) -> Result<()> {
        self.containers.iter_mut().try_for_each(|container| container.probe(&self.ip))
    }

    fn parts<'a>(&'a mut self, pod: &'a Value) -> (Place<'a>, &'a mut [Container]) {
        let Self { api, folder, names, machine, ip, volumes, containers, .. } = self;
        (Place { api, pod, volumes, folder, names, machine, ip }, containers)
    }

    fn delete_object(&self, object: &Value) -> Result<()> {
        let metadata = &object["metadata"];
        let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}});
        self.api.delete(&pod_path(metadata), &options)
    }

    /// Removes its network and its files.
    fn remove(mut self) -> Result<()> {
        self.containers.clear();
        machine::remove(&self.machine)?;
        fs::remove_dir_all(&self.folder).context("the files of the pod")
    }
}

/// Returns the time that a pod has to end; `None` unless it is deleted.
fn grace(object: &Value) -> Option<Duration> {
    let metadata = &object["metadata"];
    metadata["deletionTimestamp"].as_str()?;
    Some(Duration::from_secs(metadata["deletionGracePeriodSeconds"].as_u64().unwrap_or(0)))
}

trait FilterGone {
    fn filter_gone(self) -> Self;
}

impl FilterGone for Result<()> {
    /// An object that is gone needs no status.
    fn filter_gone(self) -> Self {
        self.or_else(|error| if error.to_string().contains(" 404 ") { Ok(()) } else { Err(error) })
    }
}
