//! The status of a pod, from which the controllers learn what runs.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use anyhow::Result;
use serde_json::{Value, json};

use super::containers::{Container, Kind};
use super::{Api, pod_path};

/// Writes the status of one pod when it changes.
#[derive(Default)]
pub(crate) struct Reporter {
    last: Value,
    /// Status and time of each condition.
    conditions: BTreeMap<&'static str, (bool, String)>,
}

impl Reporter {
    /// Reports a pod; `problem` is why a container cannot be started.
    pub(crate) fn report(
        &mut self,
        api: &Api,
        pod: &Value,
        ip: &str,
        containers: &[Container],
        initialized: bool,
        problem: &str,
    ) -> Result<()> {
        let (main, init): (Vec<_>, Vec<_>) = containers.iter().partition(|one| one.kind == Kind::Main);
        let phase = phase(pod, &main);
        let ready = initialized && phase == "Running" && containers.iter().all(is_ready);
        for (name, value) in [("Initialized", initialized), ("ContainersReady", ready), ("Ready", ready)] {
            let known = self.conditions.get(name);
            if known.is_none_or(|(old, _)| *old != value) {
                self.conditions.insert(name, (value, jiff::Timestamp::now().to_string()));
            }
        }
        let conditions: Vec<Value> = self.conditions.iter().map(condition).collect();
        let statuses = |part: &[&Container]| part.iter().map(|one| status(one, problem)).collect::<Vec<_>>();
        let status = json!({"status": {
            "phase": phase, "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": "10.0.1.1",
            "conditions": conditions,
            "initContainerStatuses": statuses(&init), "containerStatuses": statuses(&main),
        }});
        if status != self.last {
            api.patch(&format!("{}/status", pod_path(&pod["metadata"])), &status)?;
            self.last = status;
        }
        Ok(())
    }
}

fn is_ready(container: &Container) -> bool {
    container.kind == Kind::Init || container.ready
}

fn condition((name, (value, since)): (&&'static str, &(bool, String))) -> Value {
    let value = if *value { "True" } else { "False" };
    json!({"type": name, "status": value, "lastTransitionTime": since})
}

/// Returns whether the containers of a pod have ended and do not run again; its sidecars may still run.
pub(crate) fn is_complete(pod: &Value, containers: &[Container]) -> bool {
    let main: Vec<_> = containers.iter().filter(|one| one.kind == Kind::Main).collect();
    ["Succeeded", "Failed"].contains(&phase(pod, &main))
}

fn phase(pod: &Value, main: &[&Container]) -> &'static str {
    let ended = |one: &&Container| one.process.is_none().then_some(one.ended).flatten();
    let all: Option<Vec<ExitStatus>> = main.iter().map(ended).collect();
    let policy = pod["spec"]["restartPolicy"].as_str().unwrap_or("Always");
    match all {
        Some(all) if policy != "Always" && all.iter().all(ExitStatus::success) => "Succeeded",
        Some(_) if policy == "Never" => "Failed",
        _ if main.iter().all(|one| one.starts > 0) => "Running",
        _ => "Pending",
    }
}

fn status(container: &Container, problem: &str) -> Value {
    let state = match (&container.process, container.ended) {
        (Some(_), _) => json!({"running": {"startedAt": container.started_at}}),
        (None, Some(status)) => {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            json!({"terminated": {"exitCode": code, "startedAt": container.started_at}})
        }
        (None, None) if problem.is_empty() => json!({"waiting": {"reason": "PodInitializing"}}),
        (None, None) => json!({"waiting": {"reason": "CreateContainerError", "message": problem}}),
    };
    json!({
        "name": container.spec["name"], "image": container.spec["image"], "imageID": "",
        "ready": container.ready || (container.kind == Kind::Init && container.ended.is_some_and(|end| end.success())),
        "started": container.started, "restartCount": container.starts.saturating_sub(1), "state": state,
    })
}
