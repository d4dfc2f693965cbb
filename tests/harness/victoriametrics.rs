//! Starts a real VictoriaMetrics and a real vmagent.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http::{Client, encode};
use crate::ports::on_free_ports;
use crate::process::{self, Process};
use crate::tools;

/// A running VictoriaMetrics. Dropping it kills the process.
#[derive(Debug)]
pub struct VictoriaMetrics {
    /// The address of the HTTP API.
    pub address: SocketAddr,
    /// The address that takes puts of OpenTSDB.
    pub opentsdb: SocketAddr,
    /// The process, to read its log.
    pub process: Process,
    dir: PathBuf,
}

impl VictoriaMetrics {
    /// Starts a VictoriaMetrics on free ports; data and log are in `dir`.
    ///
    /// # Errors
    /// If it is not installed or does not become ready.
    pub fn start(dir: &Path) -> Result<Self> {
        on_free_ports(|[port, opentsdb, _]| Self::start_at(dir, port, opentsdb))
    }

    /// Starts it again, at the same ports and with its data, after its process was killed.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart(&mut self) -> Result<()> {
        *self = Self::start_at(&self.dir, self.address.port(), self.opentsdb.port())?;
        Ok(())
    }

    fn start_at(dir: &Path, port: u16, opentsdb: u16) -> Result<Self> {
        let mut command = process::command(&tools::index("victoria-metrics")?);
        command.args(["-retentionPeriod=100y", "-search.latencyOffset=0s", "-memory.allowedBytes=128MB"]);
        command.arg(format!("-storageDataPath={}", dir.join(format!("victoria-{port}")).display()));
        command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
        command.arg(format!("-opentsdbHTTPListenAddr=127.0.0.1:{opentsdb}"));
        let process = start("victoria-metrics", command, dir, local(port))?;
        Ok(Self { address: local(port), opentsdb: local(opentsdb), process, dir: dir.to_owned() })
    }

    /// Returns time in milliseconds and value of each sample that matches a selector.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn samples(&self, selector: &str) -> Result<Vec<(i64, f64)>> {
        let text = self.text(&format!("/api/v1/export?match[]={}", encode(selector)))?;
        let mut samples = Vec::new();
        for line in text.lines() {
            let series: Value = serde_json::from_str(line)?;
            let times = series["timestamps"].as_array().context("no timestamps")?.iter();
            let values = series["values"].as_array().context("no values")?.iter();
            samples.extend(
                times.zip(values).filter_map(|(time, value)| Some((time.as_i64()?, value.as_f64()?))),
            );
        }
        Ok(samples)
    }

    /// Returns the labels of each series that matches a selector, at any time, without a cache.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn series(&self, selector: &str) -> Result<Vec<Value>> {
        let found = self.get(&format!("/api/v1/series?start=0&nocache=1&match[]={}", encode(selector)))?;
        Ok(found["data"].as_array().context("no series")?.clone())
    }

    /// Runs an instant query; returns its result.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn query(&self, query: &str) -> Result<Vec<Value>> {
        let found = self.get(&format!("/api/v1/query?nocache=1&query={}", encode(query)))?;
        Ok(found["data"]["result"].as_array().context("no result")?.clone())
    }

    fn get(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(path)?)?)
    }

    fn text(&self, path: &str) -> Result<String> {
        let client = Client::new(self.address)?;
        // The newest samples are found only after this.
        client.get("/internal/force_flush")?;
        let answer = client.get(path)?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
        Ok(answer.text())
    }
}

/// A running vmagent. Dropping it kills the process.
#[derive(Debug)]
pub struct VmAgent {
    /// The address of the HTTP API.
    pub address: SocketAddr,
    /// The address that takes puts of OpenTSDB.
    pub opentsdb: SocketAddr,
    /// The process, to read its log.
    pub process: Process,
}

impl VmAgent {
    /// Starts a vmagent with these flags that writes to `target`; data and log are in `dir`.
    ///
    /// # Errors
    /// If it is not installed or does not become ready.
    pub fn start(dir: &Path, target: &str, flags: &[&str]) -> Result<Self> {
        on_free_ports(|[port, opentsdb, _]| {
            let mut command = process::command(&tools::index("vmagent")?);
            command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
            command.arg(format!("-opentsdbHTTPListenAddr=127.0.0.1:{opentsdb}"));
            command
                .arg(format!("-remoteWrite.tmpDataPath={}", dir.join(format!("vmagent-{port}")).display()));
            command.arg(format!("-remoteWrite.url={target}")).args(flags);
            let process = start("vmagent", command, dir, local(port))?;
            Ok(Self { address: local(port), opentsdb: local(opentsdb), process })
        })
    }
}

fn start(name: &str, command: std::process::Command, dir: &Path, address: SocketAddr) -> Result<Process> {
    let mut process = Process::start(name, command, dir)?;
    let client = Client::new(address)?;
    process.wait_until("ready", |_| (client.get("/health").ok()?.status == 200).then_some(()))?;
    Ok(process)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
