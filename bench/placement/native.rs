//! A real Envoy with its own consistent hashing: RING_HASH and MAGLEV.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pushring_harness::http::Client;
use pushring_harness::{Process, poll_until, process, tools};
use serde_json::{Value, json};

use crate::changes::Member;
use crate::probe;

/// The clusters of `native.yaml`, and the folder in it.
pub(crate) const CLUSTERS: [&str; 3] = ["ring_hash", "ring_hash_65536", "maglev"];
const FOLDER: &str = "/etc/placement";

/// An Envoy; killed when dropped.
pub(crate) struct Native {
    push: SocketAddr,
    admin: Client,
    dir: PathBuf,
    addresses: Vec<SocketAddr>,
    _process: Process,
}

impl Native {
    /// Starts it in the folder `dir` without members; `addresses` are the addresses of the members by number.
    pub(crate) fn start(dir: &Path, addresses: &[SocketAddr]) -> Result<Self> {
        fs::create_dir_all(dir.join("live"))?;
        let name = dir.to_str().with_context(|| format!("{}: the path is not UTF-8", dir.display()))?;
        let bootstrap = dir.join("native.yaml");
        fs::write(&bootstrap, include_str!("native.yaml").replace(FOLDER, name))?;
        write(dir, &json!([]))?;
        let admin_file = dir.join("admin-address");
        let mut command = process::command(&tools::find("envoy")?);
        command.arg("--config-path").arg(&bootstrap).arg("--admin-address-path").arg(&admin_file);
        command.args(["--disable-hot-restart", "--log-level", "error", "--concurrency", "1"]);
        let mut process = Process::start("envoy", command, dir)?;
        let admin: SocketAddr = process
            .wait_until("admin address", |_| fs::read_to_string(&admin_file).ok()?.trim().parse().ok())?;
        let admin = Client::new(admin)?;
        process.wait_until("ready", |_| (admin.get("/ready").ok()?.status == 200).then_some(()))?;
        let listeners = admin.get("/listeners?format=json")?.json()?;
        let socket = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let push = format!("{}:{}", socket["address"].as_str().unwrap_or_default(), socket["port_value"]);
        let (dir, addresses) = (dir.to_owned(), addresses.to_vec());
        Ok(Self { push: push.parse().context(push)?, admin, dir, addresses, _process: process })
    }

    /// Sets the members of all clusters and waits until Envoy lists them. Envoy hashes their names (`names[id]`), as
    /// pushring does, so that the result does not depend on their ports.
    pub(crate) fn set(&self, members: &[Member], names: &[&str]) -> Result<()> {
        // First without members, so that no name of an earlier member remains.
        for members in [&[], members] {
            let endpoint = |member: &Member| {
                let address = self.addresses[member.id];
                json!({
                    "endpoint": { "address": { "socket_address": {
                        "address": address.ip().to_string(), "port_value": address.port() } } },
                    "load_balancing_weight": member.weight,
                    "metadata": { "filter_metadata": { "envoy.lb": { "hash_key": names[member.id] } } },
                })
            };
            write(&self.dir, &members.iter().map(endpoint).collect())?;
            self.wait(members)?;
        }
        Ok(())
    }

    /// Returns the version of Envoy, such as 1.40.0.
    pub(crate) fn version(&self) -> Result<String> {
        let info = self.admin.get("/server_info")?.json()?;
        let version = info["version"].as_str().and_then(|version| version.split('/').nth(1));
        Ok(version.context("Envoy reports no version")?.to_owned())
    }

    /// Returns the owner of each path in one of [`CLUSTERS`].
    pub(crate) fn owners(&self, cluster: &str, paths: &[String]) -> Result<Vec<usize>> {
        probe::members(self.push, paths, &format!("x-cluster: {cluster}"))
    }

    /// Waits until each cluster has exactly these members with their weights.
    fn wait(&self, members: &[Member]) -> Result<()> {
        let line = |cluster: &str, member: &Member| {
            format!("{cluster}::{}::weight::{}", self.addresses[member.id], member.weight)
        };
        let wanted: BTreeSet<String> = CLUSTERS
            .iter()
            .flat_map(|cluster| members.iter().map(move |member| line(cluster, member)))
            .collect();
        poll_until("Envoy to have the members", || {
            let clusters = self.admin.get("/clusters").ok()?.text();
            let found = clusters.lines().filter(|line| line.contains("::weight::")).map(str::to_owned);
            (found.collect::<BTreeSet<_>>() == wanted).then_some(())
        })
    }
}

/// Writes the endpoint file by a rename, because Envoy watches for moves.
fn write(dir: &Path, endpoints: &Value) -> Result<()> {
    let file = dir.join("members.json");
    let response = json!({ "resources": [{
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": "members",
        "endpoints": [{ "lb_endpoints": endpoints }],
    }] });
    fs::write(&file, response.to_string())?;
    Ok(fs::rename(&file, dir.join("live/members.json"))?)
}
