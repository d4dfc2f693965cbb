//! Starts a real Envoy.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::slice;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::envoy_dir::Layout;
use crate::http::Client;
use crate::process::{self, Process};
use crate::{poll_until, tools};

/// A running Envoy. Dropping it kills the process.
#[derive(Debug)]
pub struct Envoy {
    /// The address for pushes.
    pub push: SocketAddr,
    /// The listener for the gateways' own pages, which bypasses the ring; `None` in redirect mode.
    pub operator: Option<SocketAddr>,
    /// The address of the admin interface.
    pub admin: SocketAddr,
    /// The listener for `/metrics` and health checks; `None` with a bootstrap that has none.
    pub metrics: Option<SocketAddr>,
    /// The process.
    pub process: Process,
    client: Client,
}

impl Envoy {
    /// Starts Envoy with the files of `layout` and this number of worker threads, and waits until it accepts requests.
    ///
    /// # Errors
    /// If Envoy is not installed, rejects its files or does not become ready.
    pub fn start(layout: &Layout, workers: u32) -> Result<Self> {
        layout.start(&tools::find("envoy")?, workers)
    }

    /// Starts Envoy by `command` with any bootstrap that has a listener `push`; its log is in `dir`.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub fn run(mut command: Command, bootstrap: &Path, dir: &Path, workers: u32) -> Result<Self> {
        let admin_file = dir.join("admin-address");
        let _ = fs::remove_file(&admin_file);
        command.arg("--config-path").arg(bootstrap).arg("--admin-address-path").arg(&admin_file);
        // By default, several Envoys on one machine share memory for hot restarts, and lines of the access log wait for 10 s.
        command.args([
            "--disable-hot-restart",
            "--file-flush-interval-msec",
            "20",
            "--log-level",
            "warning",
            "--concurrency",
            &workers.to_string(),
        ]);
        let mut process = Process::start("envoy", command, dir)?;
        let admin: SocketAddr = process
            .wait_until("admin address", |_| fs::read_to_string(&admin_file).ok()?.trim().parse().ok())?;
        let client = Client::new(admin)?;
        process.wait_until("ready", |_| (client.get("/ready").ok()?.status == 200).then_some(()))?;
        let listeners = client.get("/listeners?format=json")?.json()?;
        let push = listener(&listeners, "push").context("Envoy has no listener `push`")?;
        let [operator, metrics] = ["operator", "metrics"].map(|name| listener(&listeners, name));
        Ok(Self { push, operator, admin, metrics, process, client })
    }

    /// Runs `<binary> --mode validate`, which also starts the filter with the configuration in the bootstrap.
    ///
    /// # Errors
    /// If Envoy rejects the files, with its message.
    pub fn validate(layout: &Layout, binary: &Path) -> Result<()> {
        let mut command = process::command(binary);
        command
            .args(["--mode", "validate", "--log-level", "warning", "--config-path"])
            .arg(layout.bootstrap());
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Returns a new client of the push listener.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn client(&self) -> Result<Client> {
        Client::new(self.push)
    }

    /// Returns the active ring from the filter's status path.
    ///
    /// # Errors
    /// If the answer is not JSON.
    pub fn status(&self) -> Result<Value> {
        self.client()?.get("/-/pushring")?.json()
    }

    /// Returns a counter or gauge of Envoy; `None` before its first use.
    ///
    /// # Errors
    /// If the admin interface does not answer.
    pub fn stat(&self, name: &str) -> Result<Option<u64>> {
        let all = self.client.get("/stats?usedonly")?.text();
        Ok(all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok()))
    }

    /// Waits until a counter or gauge satisfies `enough`.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn wait_stat(&self, name: &str, enough: impl Fn(u64) -> bool) -> Result<u64> {
        poll_until(&format!("Envoy's statistic {name}"), || {
            self.stat(name).ok().flatten().filter(|value| enough(*value))
        })
    }

    /// Waits until the active ring has exactly these members, by name. One of several workers answers, and Envoy may
    /// read clusters or endpoints later: see [`Envoy::wait_upstreams`].
    ///
    /// # Errors
    /// If it has other members after the timeout.
    pub fn wait_members(&self, names: &[&str]) -> Result<()> {
        let mut wanted = names.to_vec();
        wanted.sort_unstable();
        poll_until(&format!("the ring to have the members {wanted:?}"), || {
            let status = self.status().ok()?;
            let mut found: Vec<&str> =
                status["members"].as_array()?.iter().filter_map(|member| member["name"].as_str()).collect();
            found.sort_unstable();
            (found == wanted).then_some(())
        })
    }

    /// Waits until Envoy's upstreams are exactly these: in endpoint mode in each cluster, because every cluster reads
    /// the endpoint file separately; in cluster mode in all clusters together.
    ///
    /// # Errors
    /// If there are other upstreams after the timeout.
    pub fn wait_upstreams(&self, addresses: &[&str]) -> Result<()> {
        let wanted: BTreeSet<String> = addresses.iter().map(|&address| address.to_owned()).collect();
        poll_until(&format!("Envoy's upstreams to be {wanted:?}"), || {
            let json = self.client.get("/clusters?format=json").ok()?.json().ok()?;
            let mut clusters = json["cluster_statuses"].as_array()?.clone();
            clusters
                .retain(|cluster| cluster["name"] != "envoy-admin" && cluster["name"] != "pushring-serve");
            let complete =
                |one: &Value| one["eds_service_name"].is_null() || upstreams(slice::from_ref(one)) == wanted;
            (upstreams(&clusters) == wanted && clusters.iter().all(complete)).then_some(())
        })
    }

    /// Returns the answer of the admin interface to a path such as `/clusters`.
    ///
    /// # Errors
    /// If the admin interface does not answer.
    pub fn admin(&self, path: &str) -> Result<String> {
        Ok(self.client.get(path)?.text())
    }
}

impl Layout {
    /// Starts this Envoy with the files; see [`Envoy::start`]. Several may run at once.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub fn start(&self, binary: &Path, workers: u32) -> Result<Envoy> {
        self.move_admin()?;
        Envoy::run(process::command(binary), &self.bootstrap(), self.dir(), workers)
    }
}

fn listener(listeners: &Value, name: &str) -> Option<SocketAddr> {
    let list = listeners["listener_statuses"].as_array()?;
    let found = list.iter().find(|listener| listener["name"] == name)?;
    socket(&found["local_address"])?.parse().ok()
}

/// Returns the addresses in all these clusters.
fn upstreams(clusters: &[Value]) -> BTreeSet<String> {
    let hosts = clusters.iter().filter_map(|cluster| cluster["host_statuses"].as_array()).flatten();
    hosts.filter_map(|host| socket(&host["address"])).collect()
}

fn socket(address: &Value) -> Option<String> {
    let socket = &address["socket_address"];
    Some(format!("{}:{}", socket["address"].as_str()?, socket["port_value"]))
}
