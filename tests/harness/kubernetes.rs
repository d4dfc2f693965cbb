//! A Kubernetes control plane without nodes: etcd, the API server and the controllers of StatefulSets and EndpointSlices.
//! `make kubernetes-tools` builds them. Their ports are fixed, so the caller needs a network namespace.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::{Process, poll_until, process};

use servers::{ADMIN, find};
pub use servers::{Control, SERVER_PORT};

mod servers;

/// The namespace of the gateways.
pub const NAMESPACE: &str = "monitoring";
/// The port of the gateways.
pub const PORT: u16 = 9091;

/// A cluster. Dropping it stops the servers, those first that need the others.
#[derive(Debug)]
pub struct Kubernetes {
    /// The controllers.
    pub controllers: Process,
    /// The API server.
    pub api: Process,
    /// Its store.
    pub etcd: Process,
    control: Control,
    dir: PathBuf,
}

impl Kubernetes {
    /// Starts the servers for a test that plays the kubelet, with all files in `dir`, and creates a node and the namespace.
    ///
    /// # Errors
    /// If a server is not installed, or does not become ready.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, Control::Endpoints)
    }

    /// As [`Kubernetes::start`], with these parts of the control plane.
    ///
    /// # Errors
    /// As [`Kubernetes::start`].
    pub fn start_with(dir: &Path, control: Control) -> Result<Self> {
        let etcd = servers::start_etcd(dir)?;
        let key = KeyPair::generate()?;
        fs::write(dir.join("account.key"), key.serialize_pem())?;
        fs::write(dir.join("account.pub"), key.public_key_pem())?;
        fs::write(dir.join("tokens.csv"), format!("{ADMIN},admin,1,\"system:masters\"\n"))?;
        let api = servers::start_api(dir, control)?;
        write_kubeconfig(&dir.join("admin.yaml"), dir, control, &json!({"token": ADMIN}))?;
        let controllers = servers::start_controllers(dir, control)?;
        let cluster = Self { controllers, api, etcd, control, dir: dir.to_owned() };
        for kind in ["Node", "Namespace"] {
            let name = if kind == "Node" { "node-1" } else { NAMESPACE };
            cluster.apply(&json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}))?;
        }
        Ok(cluster)
    }

    /// Starts the API server again after it was killed.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart_api(&mut self) -> Result<()> {
        self.api = servers::start_api(&self.dir, self.control)?;
        Ok(())
    }

    /// Returns the kubeconfig of an administrator, in the namespace of the gateways.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.yaml")
    }

    /// Returns the folder of its files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns `kubectl` as an administrator; the caller adds arguments.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn kubectl_command(&self) -> Result<Command> {
        let mut command = process::command(&find("kubectl")?);
        command.arg("--kubeconfig").arg(self.kubeconfig());
        Ok(command)
    }

    /// Starts `kubectl proxy`, which gives an administrator's access by plain HTTP, and returns its address.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn proxy(&self) -> Result<(Process, SocketAddr)> {
        let mut command = self.kubectl_command()?;
        command.args(["proxy", "--port=0"]);
        let mut process = Process::start("kubectl-proxy", command, &self.dir)?;
        let address = process.wait_until("listening", |process| {
            process.log().lines().find_map(|line| line.strip_prefix("Starting to serve on ")?.parse().ok())
        })?;
        Ok((process, address))
    }

    /// Runs `kubectl` and returns its output.
    ///
    /// # Errors
    /// If it fails, with its message.
    pub fn kubectl(&self, args: &[&str], input: &str) -> Result<String> {
        let mut command = self.kubectl_command()?;
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().context("standard input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {args:?}: {stderr}");
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Creates or changes an object.
    ///
    /// # Errors
    /// As [`Kubernetes::kubectl`].
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.kubectl(&["apply", "-f", "-"], &object.to_string()).map(drop)
    }

    /// Writes a kubeconfig for a service account whose token is in a file, and returns both paths.
    ///
    /// # Errors
    /// As [`Kubernetes::kubectl`].
    pub fn account(&self, name: &str) -> Result<(PathBuf, PathBuf)> {
        self.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}))?;
        let token = self.dir.join(format!("{name}.token"));
        fs::write(&token, self.kubectl(&["create", "token", name], "")?)?;
        let config = self.dir.join(format!("{name}.yaml"));
        // The path is relative to the kubeconfig.
        write_kubeconfig(&config, &self.dir, self.control, &json!({"tokenFile": format!("{name}.token")}))?;
        Ok((config, token))
    }

    /// Sets address and readiness in the status of a pod, as its kubelet would.
    ///
    /// # Errors
    /// As [`Kubernetes::kubectl`].
    pub fn set_ready(&self, pod: &str, ip: &str, ready: bool) -> Result<()> {
        let container = json!({
            "name": "pushgateway", "ready": ready, "restartCount": 0, "image": "prom/pushgateway", "imageID": "",
            "state": {"running": {"startedAt": null}},
        });
        let ready = if ready { "True" } else { "False" };
        let status = json!({"status": {
            "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [container],
        }});
        let patch = ["patch", "pod", pod, "--subresource=status", "--type=merge", "-p", &status.to_string()];
        self.kubectl(&patch, "").map(drop)
    }
}

/// Returns the headless service of the gateways.
#[must_use]
pub fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "pushgateway"},
        "spec": {"clusterIP": "None", "selector": {"app": "pushgateway"}, "ports": [{"name": "http", "port": PORT}]},
    })
}

/// Returns a StatefulSet or a Deployment of gateways on a node that does not exist: the caller runs its pods.
#[must_use]
pub fn workload(kind: &str, replicas: usize) -> Value {
    let container =
        json!({"name": "pushgateway", "image": "prom/pushgateway", "ports": [{"containerPort": PORT}]});
    let mut spec = json!({
        "replicas": replicas, "selector": {"matchLabels": {"app": "pushgateway"}},
        "template": {
            "metadata": {"labels": {"app": "pushgateway"}},
            "spec": {"nodeName": "node-1", "containers": [container]},
        },
    });
    if kind == "StatefulSet" {
        spec["serviceName"] = "pushgateway".into();
        spec["podManagementPolicy"] = "Parallel".into();
    }
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "pushgateway"}, "spec": spec})
}

fn write_kubeconfig(path: &Path, dir: &Path, control: Control, user: &Value) -> Result<()> {
    let ca = dir.join("certs/apiserver.crt");
    poll_until("the certificate of the API server", || ca.exists().then_some(()))?;
    let context = json!({"cluster": "test", "user": "test", "namespace": NAMESPACE});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": control.url(), "certificate-authority": ca}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": context}],
    });
    Ok(fs::write(path, config.to_string())?)
}
