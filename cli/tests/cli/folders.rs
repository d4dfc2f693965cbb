//! Staged folders and what must be true of live ones, for the tests of `publish`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pushring::publish::{self, CLUSTERS_FILE, ENDPOINTS_FILE, Options, Report};
use pushring::ring_file::RingFile;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A staged and a live folder.
pub(crate) struct Folders {
    pub(crate) dir: TempDir,
}

impl Folders {
    pub(crate) fn new() -> Self {
        let folders = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(folders.staged()).unwrap();
        folders
    }

    pub(crate) fn staged(&self) -> PathBuf {
        self.dir.path().join("staged")
    }

    pub(crate) fn live(&self, file: &str) -> PathBuf {
        self.dir.path().join("live").join(file)
    }

    /// Stages a cluster-mode ring of `members` with clusters for them and for `others`.
    pub(crate) fn stage(&self, members: &[&str], others: &[&str]) {
        stage(&self.staged(), members, others);
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            staged: self.staged(),
            live: self.live(""),
            admin: None,
            grace: Duration::ZERO,
            delay: Duration::ZERO,
            timeout: Duration::from_secs(10),
        }
    }

    pub(crate) fn publish(&self) -> Report {
        publish::publish(&self.options()).unwrap()
    }

    pub(crate) fn live_clusters(&self) -> Vec<String> {
        clusters(&self.live(CLUSTERS_FILE))
    }

    pub(crate) fn live_ring(&self) -> RingFile {
        RingFile::read(&self.live("ring.yaml")).unwrap()
    }

    /// The rule that publishing is there for.
    pub(crate) fn assert_ring_names_live_clusters_only(&self) {
        if !self.live("ring.yaml").exists() {
            return;
        }
        // The ring first: clusters that it needs are never dropped within the grace time.
        let ring = self.live_ring();
        let clusters = self.live_clusters();
        for name in ring.upstreams() {
            assert!(clusters.contains(&name), "the ring names {name}; live are {clusters:?}");
        }
    }
}

pub(crate) fn stage(folder: &Path, members: &[&str], others: &[&str]) {
    let all = members.iter().chain(others);
    let clusters: Vec<Value> = all
        .map(|name| json!({"name": format!("pushgateway-{name}"), "connect_timeout": "1s", "odd": "1e3"}))
        .collect();
    fs::write(folder.join(CLUSTERS_FILE), json!({ "resources": clusters }).to_string()).unwrap();
    let endpoints: Vec<Value> = members.iter().chain(others).map(|address| endpoint(address)).collect();
    let list = json!({"cluster_name": "pushgateway", "endpoints": [{"lb_endpoints": endpoints}]});
    fs::write(folder.join(ENDPOINTS_FILE), json!({ "resources": [list] }).to_string()).unwrap();
    stage_ring(folder, &json!({ "members": members }));
}

fn endpoint(address: &str) -> Value {
    let (host, port) = address.split_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    json!({"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}})
}

/// Stages any filter configuration, in the frame of the shipped ring file.
pub(crate) fn stage_ring(folder: &Path, config: &Value) {
    let shipped = fs::read_to_string(repository().join("envoy/live/cluster/ring.yaml")).unwrap();
    let (frame, _) = shipped.split_once("value: |\n").unwrap();
    fs::write(folder.join("ring.yaml"), format!("{frame}value: |\n          {config}\n")).unwrap();
}

pub(crate) fn clusters(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let names = file["resources"].as_array().unwrap().iter();
    names.map(|cluster| cluster["name"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
