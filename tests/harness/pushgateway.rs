//! Starts a real Pushgateway.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http::Client;
use crate::process::{self, Process};
use crate::tools;

/// A running Pushgateway. Dropping it kills the process.
#[derive(Debug)]
pub struct Pushgateway {
    /// The address for pushes and for the API.
    pub address: SocketAddr,
    /// The process, to kill it as a crash would.
    pub process: Process,
    prefix: String,
}

impl Pushgateway {
    /// Starts a Pushgateway on a free port; its log is in `dir`.
    ///
    /// # Errors
    /// If it is not installed or does not become ready.
    pub fn start(dir: &Path, flags: &[&str]) -> Result<Self> {
        Self::start_at(dir, SocketAddr::from(([127, 0, 0, 1], 0)), flags)
    }

    /// Starts a Pushgateway at an address, as after a crash; port 0 is any free port.
    ///
    /// # Errors
    /// If it is not installed or does not become ready, for example because the port is in use.
    pub fn start_at(dir: &Path, address: SocketAddr, flags: &[&str]) -> Result<Self> {
        Self::run(process::command(&tools::find("pushgateway")?), dir, address, flags)
    }

    /// Starts a Pushgateway that ends when it needs more than `memory` bytes, as in a container.
    ///
    /// # Errors
    /// As [`Pushgateway::start_at`].
    pub fn start_limited(dir: &Path, address: SocketAddr, memory: u64, flags: &[&str]) -> Result<Self> {
        let mut command = process::command(Path::new("prlimit"));
        command.arg(format!("--data={memory}")).arg(tools::find("pushgateway")?);
        Self::run(command, dir, address, flags)
    }

    /// Starts a Pushgateway by `command`, for example on another machine; its log is in `dir`.
    ///
    /// # Errors
    /// As [`Pushgateway::start_at`].
    pub fn run(mut command: Command, dir: &Path, address: SocketAddr, flags: &[&str]) -> Result<Self> {
        command.arg(format!("--web.listen-address={address}")).args(flags);
        // Each start has its own log, because the address is read from it.
        let log = tempfile::Builder::new().prefix("pushgateway-").tempdir_in(dir)?.keep();
        let mut process = Process::start("pushgateway", command, &log)?;
        let address = process.wait_until("listening", |process| listening(&process.log()))?;
        process.wait_until("connections", |_| TcpStream::connect(address).ok())?;
        let prefix =
            flags.iter().find_map(|flag| flag.strip_prefix("--web.route-prefix=")).unwrap_or_default();
        Ok(Self { address, process, prefix: prefix.to_owned() })
    }

    /// Returns a new client.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn client(&self) -> Result<Client> {
        Client::new(self.address)
    }

    /// Returns the labels of its groups, including labels with empty values.
    ///
    /// # Errors
    /// If it does not answer as a Pushgateway does.
    pub fn groups(&self) -> Result<Vec<BTreeMap<String, String>>> {
        let answer = self.client()?.get(&format!("{}/api/v1/metrics", self.prefix))?;
        ensure!(
            answer.status == 200,
            "{} lists no groups: {} {}",
            self.address,
            answer.status,
            answer.text()
        );
        let json = answer.json()?;
        let groups = json.get("data").and_then(Value::as_array).context("no `data` in /api/v1/metrics")?;
        groups.iter().map(|group| Ok(serde_json::from_value(group["labels"].clone())?)).collect()
    }

    /// Returns the text that Prometheus would scrape.
    ///
    /// # Errors
    /// If it does not answer 200.
    pub fn metrics(&self) -> Result<String> {
        let answer = self.client()?.get(&format!("{}/metrics", self.prefix))?;
        ensure!(answer.status == 200, "{}: {} {}", self.address, answer.status, answer.text());
        Ok(answer.text())
    }
}

/// Returns the address in the log line `msg="Listening on" address=127.0.0.1:40543`, or in that of 1.4, which names the address
/// as given: `level=info listen_address=10.0.0.1:9091`.
fn listening(log: &str) -> Option<SocketAddr> {
    let address = |mark| log.lines().find_map(|line| line.split_once(mark)?.1.trim().parse().ok());
    let found: SocketAddr =
        address("msg=\"Listening on\" address=").or_else(|| address(" listen_address="))?;
    (found.port() != 0).then_some(found)
}
