//! The servers of the control plane.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{Process, process, tools};

/// The port of the API server.
pub const SERVER_PORT: u16 = 6443;

const ETCD: &str = "http://127.0.0.1:2379";
pub(super) const ADMIN: &str = "admin-token";

/// How much of a control plane runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// StatefulSets, Deployments and EndpointSlices, for a test that sets the status of pods. The API server is at 127.0.0.1.
    Endpoints,
    /// All that a release of Helm needs, for pods that run: accounts and their certificate, disruption budgets, jobs, the
    /// proxy of the API server to services, and the removal of all that belongs to a removed object. The API server is at every address of the machine.
    Pods,
}

impl Control {
    /// Returns the address of the machine, which the certificate of the API server names.
    fn address(self) -> &'static str {
        match self {
            Self::Endpoints => "127.0.0.1",
            Self::Pods => "10.0.1.1",
        }
    }

    pub(super) fn url(self) -> String {
        format!("https://{}:{SERVER_PORT}", self.address())
    }

    fn controllers(self) -> String {
        let mut all = vec!["endpointslice", "statefulset", "deployment", "replicaset"];
        if self == Self::Pods {
            all.extend([
                "endpoints",
                "serviceaccount",
                "root-ca-certificate-publisher",
                "garbage-collector",
                "namespace",
            ]);
            all.extend(["persistentvolumeclaim-protection", "disruption", "job"]);
        }
        all.iter().map(|name| format!("{name}-controller")).collect::<Vec<_>>().join(",")
    }
}

pub(super) fn start_etcd(dir: &Path) -> Result<Process> {
    let mut etcd = process::command(&find("etcd")?);
    etcd.arg("--data-dir").arg(dir.join("etcd")).args(["--listen-client-urls", ETCD]);
    etcd.args(["--advertise-client-urls", ETCD, "--log-level", "warn"]);
    Process::start("etcd", etcd, dir)
}

pub(super) fn find(server: &str) -> Result<PathBuf> {
    tools::find(server).context("run `make kubernetes-tools`")
}

pub(super) fn start_api(dir: &Path, control: Control) -> Result<Process> {
    let mut command = process::command(&find("kube-apiserver")?);
    command.current_dir(dir).arg(format!("--etcd-servers={ETCD}")).args([
        "--cert-dir=certs",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=account.pub",
        "--service-account-signing-key-file=account.key",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--endpoint-reconciler-type=none",
    ]);
    command.arg(format!("--secure-port={SERVER_PORT}"));
    command.arg(format!("--advertise-address={}", control.address()));
    command.args(match control {
        Control::Endpoints => ["--bind-address=127.0.0.1", "--disable-admission-plugins=ServiceAccount"],
        Control::Pods => ["--bind-address=0.0.0.0", "--allow-privileged=false"],
    });
    let mut process = Process::start("kube-apiserver", command, dir)?;
    let ready = || {
        let get = Command::new("curl")
            .args(["--silent", "--insecure", "--max-time", "10", "-H"])
            .args([format!("Authorization: Bearer {ADMIN}"), format!("{}/readyz", control.url())])
            .output();
        (get.ok()?.stdout == b"ok").then_some(())
    };
    process.wait_until("ready", |_| ready())?;
    Ok(process)
}

pub(super) fn start_controllers(dir: &Path, control: Control) -> Result<Process> {
    let mut command = process::command(&find("kube-controller-manager")?);
    command.current_dir(dir).args([
        "--kubeconfig=admin.yaml",
        "--leader-elect=false",
        "--cert-dir=controllers",
        "--bind-address=127.0.0.1",
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
    ]);
    command.arg(format!("--controllers={}", control.controllers()));
    if control == Control::Pods {
        // Pods check the API server by it.
        command.arg("--root-ca-file=certs/apiserver.crt");
    }
    Process::start("kube-controller-manager", command, dir)
}
