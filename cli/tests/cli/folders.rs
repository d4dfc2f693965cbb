//! The files of a publication, and the rule that must hold for the live ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pushring::command::publish::{CLUSTERS_FILE, Options, RING_FILE, Report, publish_file};
use pushring::fleet::ring_file::RingFile;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A registrations file, settings and a live folder.
pub(crate) struct Folders {
    dir: TempDir,
}

impl Folders {
    pub(crate) fn new() -> Self {
        let folders = Self { dir: tempfile::tempdir().unwrap() };
        folders.settings(&json!({}));
        folders
    }

    /// Writes a registrations file with these addresses.
    pub(crate) fn register(&self, passing: &[&str], critical: &[&str]) {
        fs::write(self.registrations(), registrations(passing, critical)).unwrap();
    }

    /// Writes settings with these fields of the filter's configuration.
    pub(crate) fn settings(&self, filter: &Value) {
        fs::write(self.settings_file(), json!({ "filter": filter }).to_string()).unwrap();
    }

    pub(crate) fn registrations(&self) -> PathBuf {
        self.dir.path().join("registrations.json")
    }

    pub(crate) fn settings_file(&self) -> PathBuf {
        self.dir.path().join("settings.yaml")
    }

    pub(crate) fn live(&self, file: &str) -> PathBuf {
        self.dir.path().join("live").join(file)
    }

    /// Options without any wait; what left is dropped by the next publication.
    pub(crate) fn options(&self) -> Options {
        Options {
            live: self.live(""),
            module: "/etc/pushring/pushring_filter.wasm".into(),
            admin: Vec::new(),
            grace: Duration::ZERO,
            delay: Duration::ZERO,
            timeout: Duration::from_secs(10),
        }
    }

    pub(crate) fn publish(&self) -> Report {
        self.publish_with(&self.options()).unwrap()
    }

    pub(crate) fn publish_with(&self, options: &Options) -> anyhow::Result<Report> {
        publish_file(&self.registrations(), &self.settings_file(), options)
    }

    pub(crate) fn live_yaml(&self, file: &str) -> Value {
        serde_saphyr::from_str(&fs::read_to_string(self.live(file)).unwrap()).unwrap()
    }

    pub(crate) fn live_clusters(&self) -> Vec<String> {
        let file = self.live_yaml(CLUSTERS_FILE);
        let clusters = file["resources"].as_array().unwrap().iter();
        clusters.map(|cluster| cluster["name"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn live_ring(&self) -> RingFile {
        RingFile::read(&self.live(RING_FILE)).unwrap()
    }

    /// Panics if the live ring names a cluster that is not live.
    pub(crate) fn assert_ring_names_live_clusters_only(&self) {
        // The ring first: clusters that it needs are never dropped within the grace time.
        let ring = self.live_ring();
        let clusters = self.live_clusters();
        for name in ring.upstreams() {
            assert!(clusters.contains(&name), "the ring names {name}; live are {clusters:?}");
        }
    }
}

/// Returns the text of a registrations file.
pub(crate) fn registrations(passing: &[&str], critical: &[&str]) -> String {
    let passing = passing.iter().map(|address| registration(address, "passing"));
    let all = passing.chain(critical.iter().map(|address| registration(address, "critical")));
    json!({ "registrations": all.collect::<Vec<_>>() }).to_string()
}

fn registration(address: &str, status: &str) -> Value {
    let (host, port) = address.rsplit_once(':').unwrap();
    json!({"address": host, "port": port.parse::<u16>().unwrap(), "status": status})
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
