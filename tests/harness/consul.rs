//! Starts real Consul agents and consul-template.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::http::{Client, Response};
use crate::process::{self, Process};
use crate::tools;

/// Consul has no option to choose free ports, so another program may take a port between our choice and Consul's
/// start.
pub(crate) const TRIES: usize = 5;

/// A running Consul agent. Dropping it kills the process.
#[derive(Debug)]
pub struct Consul {
    /// The address of the HTTP API.
    pub address: SocketAddr,
    process: Process,
    dir: PathBuf,
    ports: [u16; 3],
    args: Vec<String>,
}

impl Consul {
    /// Starts an agent in development mode on free ports; its log is in `dir`.
    ///
    /// # Errors
    /// If Consul is not installed or does not become ready.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, &[])
    }

    /// Starts an agent in development mode with further arguments.
    ///
    /// # Errors
    /// As [`Consul::start`].
    pub fn start_with(dir: &Path, args: &[&str]) -> Result<Self> {
        Self::start_on_free_ports(dir, &[&["-dev"], args].concat())
    }

    /// Starts an agent that keeps its data in `dir`, for [`Consul::restart`].
    ///
    /// # Errors
    /// As [`Consul::start`].
    pub fn start_persistent(dir: &Path) -> Result<Self> {
        let data = format!("-data-dir={}", dir.join("consul-data").display());
        // A single server does not need the long election timeout of a cluster.
        let election = "-hcl=performance { raft_multiplier = 1 }";
        Self::start_on_free_ports(dir, &["-server", "-bootstrap-expect=1", &data, election])
    }

    /// Starts the agent again on the same ports after its process was killed.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart(&mut self) -> Result<()> {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let started = Self::try_start(&self.dir, self.ports, &args)?;
        *self = started;
        Ok(())
    }

    fn start_on_free_ports(dir: &Path, args: &[&str]) -> Result<Self> {
        let try_start = || Self::try_start(dir, free_ports()?, args);
        let mut last = try_start();
        for _ in 1..TRIES {
            if last.is_ok() {
                break;
            }
            last = try_start();
        }
        last
    }

    /// Starts an agent on the given ports for HTTP, for the server and for gossip.
    ///
    /// # Errors
    /// If Consul is not installed or does not become ready, for example because a port is in use.
    pub fn start_at(dir: &Path, ports: [u16; 3]) -> Result<Self> {
        Self::try_start(dir, ports, &["-dev"])
    }

    fn try_start(dir: &Path, ports: [u16; 3], args: &[&str]) -> Result<Self> {
        let [http, server, serf] = ports;
        let mut command = process::command(&tools::find("consul")?);
        command.args(["agent", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=warn"]);
        command.args([format!("-http-port={http}"), format!("-server-port={server}")]);
        command.arg(format!("-serf-lan-port={serf}"));
        command.args(["-grpc-port=-1", "-grpc-tls-port=-1", "-dns-port=-1", "-serf-wan-port=-1"]);
        command.arg("-hcl=disable_update_check=true").args(args);
        let mut process = Process::start("consul", command, dir)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, http));
        let client = Client::new(address)?;
        process.wait_until("a leader", |_| {
            let answer = client.get("/v1/catalog/nodes").ok()?;
            (answer.status == 200 && answer.text().contains("127.0.0.1")).then_some(())
        })?;
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Ok(Self { address, process, dir: dir.to_owned(), ports, args })
    }

    /// Sends JSON to the HTTP API.
    ///
    /// # Errors
    /// If Consul rejects it.
    pub fn put(&self, path: &str, body: &Value) -> Result<Response> {
        let answer = Client::new(self.address)?.put(path, body.to_string())?;
        ensure!(answer.status == 200, "PUT {path}: {} {}", answer.status, answer.text());
        Ok(answer)
    }

    /// Registers a `pushgateway` service with its address as ID. Its check has `status` (`passing`, `warning` or
    /// `critical`) until [`Consul::set_status`] changes it.
    ///
    /// # Errors
    /// If Consul rejects it.
    pub fn register(&self, address: SocketAddr, status: &str) -> Result<()> {
        let id = address.to_string();
        let service = json!({
            "Name": "pushgateway", "ID": id, "Address": address.ip(), "Port": address.port(),
            "Check": {"CheckID": id, "TTL": "24h", "Status": status},
        });
        self.put("/v1/agent/service/register", &service).map(drop)
    }

    /// Changes the status of the check of a registered service.
    ///
    /// # Errors
    /// If Consul does not know the service.
    pub fn set_status(&self, address: SocketAddr, status: &str) -> Result<()> {
        self.put(&format!("/v1/agent/check/update/{address}"), &json!({ "Status": status })).map(drop)
    }

    /// Removes a registered service.
    ///
    /// # Errors
    /// If Consul does not know the service.
    pub fn deregister(&self, address: SocketAddr) -> Result<()> {
        self.put(&format!("/v1/agent/service/deregister/{address}"), &Value::Null).map(drop)
    }

    /// Returns the process of the agent.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// A running consul-template. Dropping it kills the process.
#[derive(Debug)]
pub struct ConsulTemplate {
    /// The process, to read its log.
    pub process: Process,
}

impl ConsulTemplate {
    /// Starts consul-template for `consul`; `args` name the configuration or the templates. The `pushring` command is
    /// first in its PATH.
    ///
    /// # Errors
    /// If consul-template is not installed.
    pub fn start<S: AsRef<OsStr>>(dir: &Path, consul: SocketAddr, args: &[S]) -> Result<Self> {
        let mut command = process::command(&tools::find("consul-template")?);
        command.arg(format!("-consul-addr={consul}")).args(args);
        command.env("PATH", tools::path()?);
        let process = Process::start("consul-template", command, dir)?;
        Ok(Self { process })
    }

    /// Stops it with SIGINT, because it ignores SIGTERM.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(mut self) -> Result<()> {
        self.process.stop(Signal::INT).map(drop)
    }
}

/// Returns three free ports below the range that the system uses for outgoing connections.
pub(crate) fn free_ports() -> Result<[u16; 3]> {
    let first_outgoing = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32768_u16);
    // Each call continues after the last port, and each program starts elsewhere, so that two tests that start at once
    // do not get the same port.
    static SEED: AtomicUsize = AtomicUsize::new(0);
    let lowest = 10_000_u16;
    let span = usize::from(first_outgoing.saturating_sub(lowest)).max(1);
    let mut ports = Vec::new();
    while ports.len() < 3 {
        let step = SEED.fetch_add(1, Ordering::Relaxed);
        let port = lowest + ((std::process::id() as usize * 7919 + step) % span) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            ports.push(port);
        }
    }
    let ports: [u16; 3] = ports.try_into().map_err(|_| anyhow::anyhow!("no free ports"))?;
    Ok(ports)
}
