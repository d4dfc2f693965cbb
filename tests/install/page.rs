//! docs/install/kubernetes.md, followed from an empty namespace to its end.

use std::path::PathBuf;
use std::process::Command;

use pushring_harness::http::Client;
use pushring_harness::machine::isolated;
use pushring_harness::{poll_until, tools};
use serde_json::Value;
use tempfile::TempDir;

use super::blocks::{self, Block, Kind};
use super::cluster::Cluster;
use super::release::{PUSH, Release};

const PAGE: &str = "docs/install/kubernetes.md";
/// A chart in a registry, which the test takes from the repository.
const CHART: &str = "oci://$REGISTRY/pushring/charts/pushring --version 0.2.0";
/// The page waits for five minutes instead until a group is on the disk of its owner.
const SHORTER: &str = "--set gateways.persistence.interval=1s";
/// The definitions of the Prometheus operator that the chart uses.
const DEFINITIONS: [&str; 3] = ["podmonitors", "prometheusrules", "servicemonitors"];
const REPLICAS: &str = "One page and /metrics, replicas";
const BACKUP: &str = "backup_last_success{instance=\"\",job=\"backup\"} 1";

/// A shell in which a reader follows the page.
struct Page {
    blocks: Vec<Block>,
    next: usize,
    kubeconfig: PathBuf,
    folder: TempDir,
}

impl Page {
    fn open(cluster: &Cluster) -> Self {
        let mut blocks = blocks::read(PAGE).unwrap();
        blocks.retain(|block| !matches!(block.kind, Kind::NotExecuted { .. }));
        let page = Self {
            blocks,
            next: 0,
            kubeconfig: cluster.servers.kubeconfig(),
            folder: tempfile::tempdir().unwrap(),
        };
        // The kubelet of the test finds programs by the last part of the name of an image.
        page.shell("REGISTRY=registry.example.com");
        page
    }

    /// Executes the next block, which must be in the section with this heading, and returns its output.
    #[track_caller]
    fn next(&mut self, section: &str) -> String {
        let block = self.blocks.get(self.next).expect("another block");
        assert_eq!((block.section.as_str(), &block.kind), (section, &Kind::Commands { exit: 0 }));
        println!("{PAGE}:{}", block.line);
        let chart = tools::repository().join("deploy/helm/pushring").display().to_string();
        let shorter = if block.text.starts_with("helm install") { SHORTER } else { "" };
        let text = block.text.replace(CHART, &format!("{chart} {shorter}"));
        self.next += 1;
        self.shell(&text)
    }

    /// Leaves the next block to another test; it must be in the section with this heading.
    #[track_caller]
    fn skip(&mut self, section: &str) {
        assert_eq!(self.blocks.get(self.next).expect("another block").section, section);
        self.next += 1;
    }

    /// Executes commands. Variables stay for the next ones.
    #[track_caller]
    fn shell(&self, text: &str) -> String {
        let script = format!("set -ea; if [ -e shell ]; then . ./shell; fi\n{text}\nexport -p >shell");
        let mut path: Vec<PathBuf> = vec![tools::find("helm").unwrap().parent().unwrap().to_owned()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(self.folder.path())
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("KUBECONFIG", &self.kubeconfig)
            .output()
            .unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{text}\n{stdout}\n{stderr}");
        stdout
    }
}

#[test]
fn page_is_followed() {
    isolated("page::page_is_followed", || {
        let release = Release { cluster: Cluster::start() };
        let mut page = Page::open(&release.cluster);
        page.next("Install");
        release.wait_ring(3);
        page.next("Push");
        let owner: Value = page_owner(&page.next("Push"));
        assert_eq!(backup_on(&release), [owner.as_str().unwrap()]);
        page.skip(REPLICAS);

        define(&release.cluster);
        page.next("Prometheus");
        let monitors =
            release.cluster.kubectl(&["get", "servicemonitors,podmonitors,prometheusrules", "-o", "name"]);
        assert_eq!(monitors.lines().count(), 3, "{monitors}");

        let scaling = "More gateways, fewer gateways";
        page.next(scaling);
        release.wait_ring(5);
        // In five gateways there are groups for those that leave.
        let once = release.push_once();
        release.assert_on_owners(&once);
        page.next(scaling);
        release.wait_ring(3);
        page.next(scaling);
        release.assert_on_owners(&once);
        assert_eq!(backup_on(&release).len(), 1);
        page.next(scaling);
        assert_eq!(claims(&release), 3);

        // An upgrade, which the rollback takes back.
        let chart = tools::repository().join("deploy/helm/pushring").display().to_string();
        page.shell(&format!("helm upgrade pushring {chart} --namespace monitoring --reuse-values --wait --set envoy.concurrency=1"));
        page.next("Restarts and upgrades");
        release.wait_ring(3);
        release.assert_on_owners(&once);
        page.next("Uninstall");
        poll_until("no claims", || (claims(&release) == 0).then_some(())).unwrap();
        let left = || release.cluster.kubectl(&["get", "all,configmaps,secrets", "-o", "name"]);
        poll_until("an empty namespace", || (left() == "configmap/kube-root-ca.crt").then_some(()))
            .unwrap_or_else(|error| panic!("{error}: {}", left()));
        assert_eq!(page.blocks.get(page.next), None, "a block that the test does not execute");
    });
}

#[test]
fn one_address_shows_all_groups_and_their_replicas() {
    isolated("page::one_address_shows_all_groups_and_their_replicas", || {
        let release = Release { cluster: Cluster::start() };
        let mut page = Page::open(&release.cluster);
        page.next("Install");
        release.wait_ring(3);
        page.next("Push");
        page.next("Push");
        page.next(REPLICAS);
        // The sweeper makes the replica of the group that was there.
        poll_until("two copies", || (backup_on(&release).len() == 2).then_some(())).unwrap();
        let envoy = *release.cluster.ready(PUSH).values().next().expect("an Envoy");
        let shown = || {
            let answer = Client::new(envoy).unwrap().get("/metrics").ok()?;
            (answer.status == 200).then(|| answer.text().lines().filter(|line| *line == BACKUP).count())
        };
        poll_until("the group, once", || shown().filter(|count| *count == 1)).unwrap();
        assert!(Client::new(envoy).unwrap().get("/").unwrap().text().contains("<html"));
        // While a gateway with the group is away, the other one shows it.
        let gateway = backup_on(&release).remove(0);
        release.cluster.kubectl(&["delete", "pod", &gateway, "--wait=false"]);
        poll_until("two gateways", || {
            assert_eq!(shown(), Some(1));
            (release.gateways().len() == 2).then_some(())
        })
        .unwrap();
        assert_eq!(shown(), Some(1));
    });
}

/// Returns the owner that the ring and the answer to the question name.
fn page_owner(printed: &str) -> Value {
    let mut answers = serde_json::Deserializer::from_str(printed).into_iter::<Value>();
    let ring = answers.next().unwrap().unwrap();
    assert_eq!(ring["members"].as_array().unwrap().len(), 3, "{ring}");
    answers.next().unwrap().unwrap()["owner"]["name"].clone()
}

/// Returns the gateways with the group of the page.
fn backup_on(release: &Release) -> Vec<String> {
    let has = |address| {
        let metrics = Client::new(address).unwrap().get("/metrics").unwrap().text();
        metrics.lines().any(|line| line == BACKUP)
    };
    release.gateways().into_iter().filter(|(_, address)| has(*address)).map(|(name, _)| name).collect()
}

fn claims(release: &Release) -> usize {
    release.cluster.kubectl(&["get", "persistentvolumeclaims", "-o", "name"]).lines().count()
}

/// Creates the kinds of the Prometheus operator, as it does.
fn define(cluster: &Cluster) {
    for name in DEFINITIONS {
        let file = tools::repository().join(format!("target/tools/crds/monitoring.coreos.com_{name}.yaml"));
        cluster.kubectl(&["apply", "--server-side", "-f", file.to_str().expect("UTF-8")]);
        let kind = format!("crd/{name}.monitoring.coreos.com");
        cluster.kubectl(&["wait", "--for=condition=established", "--timeout=3m", &kind]);
    }
}
