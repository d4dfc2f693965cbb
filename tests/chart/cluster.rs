//! An API server that knows the resources of the chart, and a namespace that accepts restricted pods only.

use std::io::Write;
use std::process::{Output, Stdio};

use pushring_harness::{Kubernetes, poll_until, tools};
use serde_json::json;
use tempfile::TempDir;

use super::helm::NAMESPACE;

/// The definitions that the chart needs, as `make kubernetes-tools` writes them.
const DEFINITIONS: [&str; 4] = [
    "gateway.networking.k8s.io_httproutes",
    "monitoring.coreos.com_podmonitors",
    "monitoring.coreos.com_prometheusrules",
    "monitoring.coreos.com_servicemonitors",
];

/// A cluster without nodes. Dropping it stops the servers.
pub(crate) struct Cluster {
    pub(crate) servers: Kubernetes,
    _dir: TempDir,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let servers = Kubernetes::start(dir.path()).unwrap();
        let cluster = Self { servers, _dir: dir };
        let level = |mode: &str| (format!("pod-security.kubernetes.io/{mode}"), json!("restricted"));
        let labels: serde_json::Map<_, _> = ["enforce", "warn"].map(level).into_iter().collect();
        let metadata = json!({"name": NAMESPACE, "labels": labels});
        cluster
            .servers
            .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
            .unwrap();
        for name in DEFINITIONS {
            let file = tools::repository().join(format!("target/tools/crds/{name}.yaml"));
            assert!(file.exists(), "{}: run `make kubernetes-tools`", file.display());
            // Their annotation would be too large for a change by the client.
            let apply = ["apply", "--server-side", "-f", file.to_str().unwrap()];
            cluster.servers.kubectl(&apply, "").unwrap();
        }
        let known = || {
            let kinds = cluster.servers.kubectl(&["api-resources", "--no-headers", "-o", "name"], "").ok()?;
            let kind = |name: &str| {
                let (group, kind) = name.split_once('_').unwrap();
                kinds.lines().any(|line| line == format!("{kind}.{group}"))
            };
            DEFINITIONS.iter().all(|name| kind(name)).then_some(())
        };
        poll_until("the definitions", known).unwrap();
        cluster
    }

    /// Runs `kubectl` in the namespace of the release, with `input` as its standard input.
    pub(crate) fn kubectl(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.servers.kubectl_command().unwrap();
        command.args(["--namespace", NAMESPACE]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Lets the API server check objects, and returns its complaints: errors and warnings.
    pub(crate) fn complaints(&self, objects: &str) -> String {
        let output = self.kubectl(&["apply", "--dry-run=server", "-f", "-"], objects);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() || !stderr.is_empty(), "{}", output.status);
        stderr
    }
}
