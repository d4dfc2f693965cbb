//! Starts a real `metric-index serve`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::http::Client;
use crate::ports::on_free_ports;
use crate::process::{self, Process};
use crate::tools;

/// A running metric-index. Dropping it kills the process.
#[derive(Debug)]
pub struct MetricIndex {
    /// The address for writes and queries.
    pub address: SocketAddr,
    process: Process,
    dir: PathBuf,
    name: String,
}

impl MetricIndex {
    /// Starts a metric-index on a free port. Log, configuration and data are in `dir`, with the name.
    ///
    /// # Errors
    /// If it is not built or does not become ready.
    pub fn start(dir: &Path, name: &str, config: &Value) -> Result<Self> {
        on_free_ports(|[port, ..]| Self::start_on(dir, name, config, (Ipv4Addr::LOCALHOST, port).into()))
    }

    /// As [`MetricIndex::start`], at an address of 127.0.0.1.
    ///
    /// # Errors
    /// As [`MetricIndex::start`].
    pub fn start_on(dir: &Path, name: &str, config: &Value, address: SocketAddr) -> Result<Self> {
        // JSON is YAML.
        fs::write(file(dir, name), config.to_string())?;
        Self::start_at(dir, name, address.port())
    }

    fn start_at(dir: &Path, name: &str, port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = process::command(&tools::metric_index()?);
        command.arg("serve").arg("--config").arg(file(dir, name));
        command.arg("--listen").arg(address.to_string()).arg("--data").arg(dir.join(format!("{name}-data")));
        let mut process = Process::start(name, command, dir)?;
        let client = Client::new(address)?;
        process.wait_until("ready", |_| (client.get("/-/ready").ok()?.status == 200).then_some(()))?;
        Ok(Self { address, process, dir: dir.to_owned(), name: name.to_owned() })
    }

    /// Starts it again, at the same port and with its data, after its process has ended.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart(&mut self) -> Result<()> {
        *self = Self::start_at(&self.dir, &self.name, self.address.port())?;
        Ok(())
    }

    /// Returns the sum of the samples of a metric whose line begins with a text; 0 if there is none.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn metric(&self, start: &str) -> Result<f64> {
        let text = self.get("/metrics")?;
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        Ok(text.lines().filter(|line| line.starts_with(start)).filter_map(value).sum())
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// If it does not answer 200.
    pub fn get(&self, path: &str) -> Result<String> {
        let answer = Client::new(self.address)?.get(path)?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
        Ok(answer.text().to_string())
    }

    /// Returns the process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.yaml"))
}
