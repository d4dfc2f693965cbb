//! etcd, the API server and the controllers of EndpointSlices and StatefulSets, in a network namespace of a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pushring_harness::{Process, poll_until, process, tools};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

const ETCD: &str = "http://127.0.0.1:2379";
const SERVER: &str = "https://127.0.0.1:6443";
const ADMIN: &str = "admin-token";

/// A cluster without nodes. Dropping it stops the servers.
pub(crate) struct Cluster {
    pub(crate) api: Process,
    _controllers: Process,
    _etcd: Process,
    pub(crate) dir: TempDir,
}

impl Cluster {
    /// Starts the servers at fixed ports: the network belongs to the test.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let mut etcd = process::command(&tools::find("etcd").unwrap());
        etcd.arg("--data-dir").arg(path.join("etcd")).args(["--listen-client-urls", ETCD]);
        etcd.args(["--advertise-client-urls", ETCD, "--log-level", "warn"]);
        let etcd = Process::start("etcd", etcd, path).unwrap();
        let key = KeyPair::generate().unwrap();
        fs::write(path.join("account.key"), key.serialize_pem()).unwrap();
        fs::write(path.join("account.pub"), key.public_key_pem()).unwrap();
        fs::write(path.join("tokens.csv"), format!("{ADMIN},admin,1,\"system:masters\"\n")).unwrap();
        let api = start_api(path);
        write_kubeconfig(&path.join("admin.yaml"), path, &json!({"token": ADMIN}));
        let controllers = start_controllers(path);
        let cluster = Self { api, _controllers: controllers, _etcd: etcd, dir };
        cluster.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}));
        cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}}));
        cluster
    }

    /// Starts the API server again after it was killed.
    pub(crate) fn restart_api(&mut self) {
        self.api = start_api(self.dir.path());
    }

    /// Runs `kubectl` as an administrator in the namespace of the gateways.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.kubectl_with(args, "")
    }

    pub(crate) fn apply(&self, object: &Value) {
        self.kubectl_with(&["apply", "-f", "-"], &object.to_string());
    }

    /// Writes a kubeconfig for a service account whose token is in a file, and returns both paths.
    pub(crate) fn account(&self, name: &str) -> (PathBuf, PathBuf) {
        self.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}));
        let token = self.dir.path().join(format!("{name}.token"));
        fs::write(&token, self.kubectl(&["create", "token", name])).unwrap();
        let config = self.dir.path().join(format!("{name}.yaml"));
        // The path is relative to the kubeconfig.
        write_kubeconfig(&config, self.dir.path(), &json!({"tokenFile": format!("{name}.token")}));
        (config, token)
    }

    pub(crate) fn kubectl_with(&self, args: &[&str], input: &str) -> String {
        let run = || {
            let mut command = Command::new(tools::find("kubectl").unwrap());
            command.arg("--kubeconfig").arg(self.dir.path().join("admin.yaml")).args(["-n", "monitoring"]);
            let mut child = command
                .args(args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        };
        let output = run();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {args:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// Returns the YAML block of a document that is written to this file.
pub(crate) fn document(path: &str, file: &str) -> String {
    let text = fs::read_to_string(tools::repository().join(path)).unwrap();
    let (_, rest) = text.split_once(&format!("```yaml file={file}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

fn start_api(dir: &Path) -> Process {
    let mut command = process::command(&tools::find("kube-apiserver").unwrap());
    command.current_dir(dir).arg(format!("--etcd-servers={ETCD}")).args([
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--secure-port=6443",
        "--cert-dir=certs",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=account.pub",
        "--service-account-signing-key-file=account.key",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--endpoint-reconciler-type=none",
    ]);
    let mut process = Process::start("kube-apiserver", command, dir).unwrap();
    let ready = || {
        let get = Command::new("curl")
            .args(["--silent", "--insecure", "--max-time", "10", "-H"])
            .args([format!("Authorization: Bearer {ADMIN}"), format!("{SERVER}/readyz")])
            .output();
        (get.unwrap().stdout == b"ok").then_some(())
    };
    process.wait_until("ready", |_| ready()).unwrap();
    process
}

fn start_controllers(dir: &Path) -> Process {
    let mut command = process::command(&tools::find("kube-controller-manager").unwrap());
    command.current_dir(dir).args([
        "--kubeconfig=admin.yaml",
        "--controllers=endpointslice-controller,statefulset-controller,deployment-controller,replicaset-controller",
        "--leader-elect=false",
        "--cert-dir=controllers",
        "--bind-address=127.0.0.1",
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
    ]);
    Process::start("kube-controller-manager", command, dir).unwrap()
}

fn write_kubeconfig(path: &Path, dir: &Path, user: &Value) {
    let ca = dir.join("certs/apiserver.crt");
    poll_until("the certificate of the API server", || ca.exists().then_some(())).unwrap();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": SERVER, "certificate-authority": ca}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "monitoring"}}],
    });
    fs::write(path, config.to_string()).unwrap();
}
