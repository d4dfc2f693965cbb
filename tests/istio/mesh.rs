//! An API server with Istio's resource definitions and the resources of deploy/istio; its functions panic.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use pushring_harness::command::{self, CommandOutput};
use pushring_harness::{Kubernetes, Process, poll_until, process, tools};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The namespace of Istio's gateway and of `discover`.
const NAMESPACE: &str = "pushring";

/// A cluster with deploy/istio applied. Dropping it stops the servers.
pub(crate) struct Mesh {
    pub(crate) servers: Kubernetes,
    pub(crate) dir: TempDir,
}

impl Mesh {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mesh = Self { servers: Kubernetes::start(dir.path()).unwrap(), dir };
        for namespace in [NAMESPACE, "istio-system"] {
            mesh.kubectl(&["create", "namespace", namespace]);
        }
        let definitions = tools::repository().join("target/tools/istio-crds.yaml");
        mesh.kubectl(&["apply", "--server-side", "-f", definitions.to_str().unwrap()]);
        let resources = mesh.resources();
        mesh.servers.kubectl(&["apply", "-f", "-"], &resources).unwrap();
        mesh.apply_gateway();
        mesh
    }

    /// Creates the Service and the pod that Istio's chart `gateway` makes.
    fn apply_gateway(&self) {
        let labels = json!({"istio": "pushring-gateway", "app": "pushring-gateway"});
        let metadata = |name: &str| json!({"name": name, "namespace": NAMESPACE, "labels": labels});
        self.servers
            .apply(&json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata("pushring-gateway"),
                "spec": {"selector": labels, "ports": [{"name": "http-push", "port": 9091}]},
            }))
            .unwrap();
        let spec = json!({"nodeName": "node-1", "containers": [{"name": "istio-proxy", "image": "proxyv2"}]});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata("gateway-0"), "spec": spec});
        self.servers.apply(&pod).unwrap();
    }

    /// Applies an overlay with deploy/istio/serve.
    pub(crate) fn apply_with_serve(&self) {
        self.servers.kubectl(&["apply", "-f", "-"], &self.resources_with_serve()).unwrap();
    }

    /// Returns the resources of an overlay with deploy/istio/serve.
    pub(crate) fn resources_with_serve(&self) -> String {
        let overlay = self.dir.path().join("overlay");
        fs::create_dir_all(&overlay).unwrap();
        let link = self.dir.path().join("pushring");
        if !link.exists() {
            symlink(tools::repository(), link).unwrap();
        }
        let text = "resources: [../pushring/deploy/istio]\ncomponents: [../pushring/deploy/istio/serve]\n";
        fs::write(overlay.join("kustomization.yaml"), text).unwrap();
        self.build(&overlay)
    }

    /// Returns the resources of deploy/istio as they are applied.
    pub(crate) fn resources(&self) -> String {
        self.build(&tools::repository().join("deploy/istio"))
    }

    /// Runs kustomize. The module is a file, because no registry runs.
    fn build(&self, folder: &Path) -> String {
        let resources = self.kubectl(&["kustomize", folder.to_str().unwrap()]);
        let image = "oci://ghcr.io/pushring/pushring-filter:0.2.0";
        assert!(resources.contains(image), "{resources}");
        resources.replace(image, &format!("file://{}", tools::wasm().unwrap().display()))
    }

    /// Runs `kubectl` as an administrator.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.servers.kubectl(args, "").unwrap()
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Value {
        let found =
            self.kubectl(&["get", kind, name, "-n", NAMESPACE, "-o", "json", "--show-managed-fields"]);
        serde_json::from_str(&found).unwrap()
    }

    /// Returns the WasmPlugin.
    pub(crate) fn plugin(&self) -> Value {
        self.get("wasmplugin", "pushring")
    }

    /// Returns the names of the members in the WasmPlugin.
    pub(crate) fn members(&self) -> Vec<String> {
        texts(&self.plugin()["spec"]["pluginConfig"]["members"], "name")
    }

    /// Returns the addresses in the ServiceEntry.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        texts(&self.get("serviceentry", "pushgateway")["spec"]["endpoints"], "address")
    }

    /// Returns the versions of both objects, which change with each write.
    pub(crate) fn versions(&self) -> [Value; 2] {
        [self.plugin(), self.get("serviceentry", "pushgateway")]
            .map(|object| object["metadata"]["generation"].clone())
    }

    /// Changes the WasmPlugin or the ServiceEntry as another client.
    pub(crate) fn patch(&self, kind: &str, name: &str, fields: &Value) {
        self.kubectl(&["patch", kind, name, "-n", NAMESPACE, "--type=merge", "-p", &fields.to_string()]);
    }

    /// Writes the file that the source reads: members by their index, with their status.
    pub(crate) fn gateways(&self, members: &[(usize, &str)]) {
        let list: Vec<Value> = members
            .iter()
            .map(|(index, status)| {
                json!({"address": format!("10.77.0.{}:9091", index + 1), "name": name(*index), "status": status})
            })
            .collect();
        self.write_gateways(&list);
    }

    /// Replaces the file that the source reads.
    pub(crate) fn write_gateways(&self, list: &[Value]) {
        let path = self.dir.path().join("gateways.json");
        fs::write(path.with_extension("new"), json!(list).to_string()).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    /// Writes the file with these members, all of them passing.
    pub(crate) fn passing(&self, members: &[usize]) {
        self.gateways(&members.iter().map(|index| (*index, "passing")).collect::<Vec<_>>());
    }

    /// Returns the settings of deploy/istio as a file of this test.
    pub(crate) fn settings(&self) -> PathBuf {
        let path = self.dir.path().join("settings.yaml");
        if !path.exists() {
            fs::copy(tools::repository().join("deploy/istio/settings.yaml"), &path).unwrap();
        }
        path
    }

    /// Returns the arguments of `discover` for the file.
    pub(crate) fn args(&self, kubeconfig: &Path) -> Vec<String> {
        let text = |flag: &str, path: PathBuf| format!("--{flag}={}", path.display());
        vec![
            "discover".to_owned(),
            "--from=file".to_owned(),
            text("file", self.dir.path().join("gateways.json")),
            "--to=wasmplugin".to_owned(),
            "--plugin=pushring/pushring".to_owned(),
            "--service-entry=pushgateway".to_owned(),
            text("settings", self.settings()),
            text("state", self.dir.path().join("state")),
            text("kubeconfig", kubeconfig.to_owned()),
        ]
    }

    /// Publishes once, without a settle time.
    pub(crate) fn once(&self, more: &[&str]) -> CommandOutput {
        let args = self.args(&self.servers.kubeconfig()).into_iter().chain(["--once".to_owned()]);
        let more = ["--delay=0s"].iter().chain(more).map(|&arg| arg.to_owned());
        command::pushring(args.chain(more)).unwrap()
    }

    /// Follows the file.
    pub(crate) fn follow(&self, kubeconfig: &Path, more: &[&str], variables: &[(&str, &str)]) -> Process {
        let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
        command.args(self.args(kubeconfig)).arg("--listen=127.0.0.1:0").args(more);
        command.envs(variables.iter().copied());
        Process::start("discover", command, self.dir.path()).unwrap()
    }

    /// Waits until the WasmPlugin has these members.
    pub(crate) fn wait_members(&self, members: &[usize]) {
        let wanted: Vec<String> = members.iter().map(|index| name(*index)).collect();
        poll_until(&format!("the members {wanted:?}"), || (self.members() == wanted).then_some(())).unwrap();
    }
}

/// Waits until the log has a line with this text.
pub(crate) fn wait_log(process: &mut Process, text: &str) {
    process
        .wait_until(&format!("{text:?} in the log"), |process| process.log().contains(text).then_some(()))
        .unwrap();
}

/// Runs `istioctl` and returns what it prints.
pub(crate) fn istioctl(mesh: &Mesh, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(tools::find("istioctl").unwrap());
    command.arg("--kubeconfig").arg(mesh.servers.kubeconfig()).args(args);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

pub(crate) fn name(index: usize) -> String {
    format!("pushgateway-{index}")
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|one| one[field].as_str().unwrap().to_owned()).collect()
}
