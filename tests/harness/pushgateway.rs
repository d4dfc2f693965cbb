//! A real Pushgateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http::Client;
use crate::process::{self, Process};
use crate::tools;

/// A running Pushgateway; killed when dropped.
#[derive(Debug)]
pub struct Pushgateway {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process, to kill it as a crash would.
    pub process: Process,
    prefix: String,
}

impl Pushgateway {
    /// Starts one on a free port, with its log in `dir`.
    ///
    /// # Errors
    /// When it is not installed or does not get ready.
    pub fn start(dir: &Path, flags: &[&str]) -> Result<Self> {
        Self::start_at(dir, SocketAddr::from(([127, 0, 0, 1], 0)), flags)
    }

    /// Starts one at a given address, as one that comes back after a crash; port 0 is any free port.
    ///
    /// # Errors
    /// When it is not installed or does not get ready, for example because the port is taken.
    pub fn start_at(dir: &Path, address: SocketAddr, flags: &[&str]) -> Result<Self> {
        let mut command = process::command(&tools::find("pushgateway")?);
        command.arg(format!("--web.listen-address={address}")).args(flags);
        // A log of its own for each start: the address is read from it.
        let log = tempfile::Builder::new().prefix("pushgateway-").tempdir_in(dir)?.keep();
        let mut process = Process::start("pushgateway", command, &log)?;
        let address = process.wait_until("listening", |process| listening(&process.log()))?;
        let prefix =
            flags.iter().find_map(|flag| flag.strip_prefix("--web.route-prefix=")).unwrap_or_default();
        Ok(Self { address, process, prefix: prefix.to_owned() })
    }

    /// A new client of it.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn client(&self) -> Result<Client> {
        Client::new(self.address)
    }

    /// The groups that it holds: the labels of each, the ones with empty values included.
    ///
    /// # Errors
    /// When it does not answer as a Pushgateway does.
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

    /// What Prometheus would scrape.
    ///
    /// # Errors
    /// When it does not answer 200.
    pub fn metrics(&self) -> Result<String> {
        let answer = self.client()?.get(&format!("{}/metrics", self.prefix))?;
        ensure!(answer.status == 200, "{}: {} {}", self.address, answer.status, answer.text());
        Ok(answer.text())
    }
}

/// The address in its log line `msg="Listening on" address=127.0.0.1:40543`.
fn listening(log: &str) -> Option<SocketAddr> {
    log.lines().find_map(|line| line.split_once("msg=\"Listening on\" address=")?.1.trim().parse().ok())
}
