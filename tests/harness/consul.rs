//! Starts real Consul agents and consul-template.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::http::{Client, Response};
use crate::ports::on_free_ports;
use crate::process::{self, Process};
use crate::tools;

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
        on_free_ports(|ports| Self::try_start(dir, ports, &[&["-dev"], args].concat()))
    }

    /// Starts an agent that keeps its data in `dir`, for [`Consul::restart`].
    ///
    /// # Errors
    /// As [`Consul::start`].
    pub fn start_persistent(dir: &Path) -> Result<Self> {
        let data = format!("-data-dir={}", dir.join("consul-data").display());
        // A single server does not need the long election timeout of a cluster.
        let election = "-hcl=performance { raft_multiplier = 1 }";
        let args = ["-server", "-bootstrap-expect=1", &data, election];
        on_free_ports(|ports| Self::try_start(dir, ports, &args))
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
