//! A control plane in a network namespace of a test; its functions panic.

use std::fs;
use std::path::PathBuf;

use pushring_harness::{Kubernetes, tools};
use serde_json::Value;
use tempfile::TempDir;

/// A cluster without nodes. Dropping it stops the servers.
pub(crate) struct Cluster {
    pub(crate) servers: Kubernetes,
    pub(crate) dir: TempDir,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { servers: Kubernetes::start(dir.path()).unwrap(), dir }
    }

    /// Returns the kubeconfig of the administrator.
    pub(crate) fn admin(&self) -> PathBuf {
        self.dir.path().join("admin.yaml")
    }

    /// Runs `kubectl` as an administrator in the namespace of the gateways.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.kubectl_with(args, "")
    }

    pub(crate) fn apply(&self, object: &Value) {
        self.servers.apply(object).unwrap();
    }

    /// Writes a kubeconfig for a service account whose token is in a file, and returns both paths.
    pub(crate) fn account(&self, name: &str) -> (PathBuf, PathBuf) {
        self.servers.account(name).unwrap()
    }

    pub(crate) fn kubectl_with(&self, args: &[&str], input: &str) -> String {
        self.servers.kubectl(args, input).unwrap()
    }
}

/// Returns the YAML block of a document that is written to this file.
pub(crate) fn document(path: &str, file: &str) -> String {
    let text = fs::read_to_string(tools::repository().join(path)).unwrap();
    let (_, rest) = text.split_once(&format!("```yaml file={file}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}
