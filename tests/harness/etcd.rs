//! Starts a real etcd.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use crate::http::Client;
use crate::ports::on_free_ports;
use crate::process::{self, Process};
use crate::tools;

/// The versions that the tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Debian's 3.4, the oldest that is supported.
    Oldest,
    /// That of tools/etcd/go.mod.
    Newest,
}

/// A running etcd. Dropping it kills the process.
#[derive(Debug)]
pub struct Etcd {
    /// The address for clients.
    pub address: SocketAddr,
    process: Process,
    dir: PathBuf,
    version: Version,
    ports: [u16; 3],
    tls: Vec<String>,
}

impl Etcd {
    /// Starts an etcd on free ports; data and log are in `dir`.
    ///
    /// # Errors
    /// If it is not installed or does not become ready.
    pub fn start(dir: &Path, version: Version) -> Result<Self> {
        Self::start_with(dir, version, &[])
    }

    /// Starts an etcd with flags for TLS, which then serves https only.
    ///
    /// # Errors
    /// As [`Etcd::start`].
    pub fn start_with(dir: &Path, version: Version, tls: &[String]) -> Result<Self> {
        on_free_ports(|ports| Self::try_start(dir, version, ports, tls))
    }

    /// Starts the newest etcd on the given ports for clients and for other members; the third is free.
    ///
    /// # Errors
    /// As [`Etcd::start`], for example because a port is in use.
    pub fn start_at(dir: &Path, ports: [u16; 3]) -> Result<Self> {
        Self::try_start(dir, Version::Newest, ports, &[])
    }

    /// Starts it again with its data after its process was killed.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart(&mut self) -> Result<()> {
        let started = Self::try_start(&self.dir, self.version, self.ports, &self.tls)?;
        *self = started;
        Ok(())
    }

    fn try_start(dir: &Path, version: Version, ports: [u16; 3], tls: &[String]) -> Result<Self> {
        let binary = match version {
            Version::Oldest => tools::debian("bin/etcd")?,
            Version::Newest => tools::find("etcd")?,
        };
        let [port, peer, _] = ports;
        let scheme = if tls.is_empty() { "http" } else { "https" };
        let (url, peer) = (format!("{scheme}://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
        let mut command = process::command(&binary);
        command.arg("--data-dir").arg(data(dir, ports));
        for (flag, value) in [
            ("--listen-client-urls", &url),
            ("--advertise-client-urls", &url),
            ("--listen-peer-urls", &peer),
            ("--initial-advertise-peer-urls", &peer),
            ("--initial-cluster", &format!("default={peer}")),
            // A single member does not need the long election timeout of a cluster.
            ("--heartbeat-interval", &"50".to_owned()),
            ("--election-timeout", &"500".to_owned()),
        ] {
            command.args([flag, value]);
        }
        command.args(tls);
        // The log has the lines of earlier starts, too.
        let starts = |log: &str| log.matches("ready to serve client requests").count();
        let before = fs::read_to_string(dir.join("etcd.log")).map(|log| starts(&log)).unwrap_or_default();
        let mut process = Process::start("etcd", command, dir)?;
        process.wait_until("ready", |process| (starts(&process.log()) > before).then_some(()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self { address, process, dir: dir.to_owned(), version, ports, tls: tls.to_vec() })
    }

    /// Kills it, and starts it again with other data: a copy that [`Etcd::copy_data`] made, or none.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart_with(&mut self, copy: Option<&Path>) -> Result<()> {
        self.process.kill();
        let data = self.data();
        fs::remove_dir_all(&data)?;
        if let Some(copy) = copy {
            copy_folder(copy, &data)?;
        }
        self.restart()
    }

    /// Copies its data to a new folder while it is down, and starts it again.
    ///
    /// # Errors
    /// If a file cannot be written, or it does not become ready.
    pub fn copy_data(&mut self, to: &Path) -> Result<()> {
        self.process.kill();
        copy_folder(&self.data(), to)?;
        self.restart()
    }

    fn data(&self) -> PathBuf {
        data(&self.dir, self.ports)
    }

    /// Returns its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_empty() { "http" } else { "https" }, self.address)
    }

    /// Sends a request to the JSON gateway; not by TLS.
    ///
    /// # Errors
    /// If etcd refuses it.
    pub fn call(&self, path: &str, body: &Value) -> Result<Value> {
        self.call_as("", path, body)
    }

    /// Sends a request with a token of [`Etcd::token`].
    ///
    /// # Errors
    /// If etcd refuses it.
    pub fn call_as(&self, token: &str, path: &str, body: &Value) -> Result<Value> {
        let headers = [("authorization", token)];
        let headers = if token.is_empty() { &headers[..0] } else { &headers[..] };
        let answer =
            Client::new(self.address)?.send("POST", &format!("/v3/{path}"), headers, body.to_string())?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
        answer.json()
    }

    /// Returns a token of a user.
    ///
    /// # Errors
    /// If the password is wrong.
    pub fn token(&self, user: &str, password: &str) -> Result<String> {
        let answer = self.call("auth/authenticate", &json!({"name": user, "password": password}))?;
        Ok(answer["token"].as_str().unwrap_or_default().to_owned())
    }

    /// Stores a value.
    ///
    /// # Errors
    /// If etcd refuses it.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.call("kv/put", &json!({"key": base64(key), "value": base64(value)})).map(drop)
    }

    /// Stores a value that ends with a lease.
    ///
    /// # Errors
    /// If etcd refuses it.
    pub fn put_leased(&self, key: &str, value: &str, lease: &str) -> Result<()> {
        let body = json!({"key": base64(key), "value": base64(value), "lease": lease});
        self.call("kv/put", &body).map(drop)
    }

    /// Returns the ID of a new lease of this number of seconds.
    ///
    /// # Errors
    /// If etcd refuses it.
    pub fn lease(&self, seconds: u64) -> Result<String> {
        let answer = self.call("lease/grant", &json!({"TTL": seconds.to_string()}))?;
        Ok(answer["ID"].as_str().unwrap_or_default().to_owned())
    }

    /// Ends a lease, which deletes its keys.
    ///
    /// # Errors
    /// If etcd refuses it.
    pub fn revoke(&self, lease: &str) -> Result<()> {
        self.call("lease/revoke", &json!({"ID": lease})).map(drop)
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// If etcd refuses it.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.call("kv/deleterange", &json!({"key": base64(key)})).map(drop)
    }

    /// Returns the values of all keys with a prefix.
    ///
    /// # Errors
    /// If etcd refuses it.
    pub fn values(&self, prefix: &str) -> Result<Vec<String>> {
        let mut end = prefix.as_bytes().to_vec();
        end.push(0xff);
        let answer = self.call("kv/range", &json!({"key": base64(prefix), "range_end": base64(end)}))?;
        let value = |pair: &Value| {
            Ok(String::from_utf8(BASE64_STANDARD.decode(pair["value"].as_str().unwrap_or_default())?)?)
        };
        answer["kvs"].as_array().into_iter().flatten().map(value).collect()
    }

    /// Makes the store forget all changes but the last.
    ///
    /// # Errors
    /// If etcd refuses it.
    pub fn compact(&self) -> Result<()> {
        let found = self.call("kv/range", &json!({"key": base64("x")}))?;
        let revision = &found["header"]["revision"];
        self.call("kv/compaction", &json!({"revision": revision, "physical": true})).map(drop)
    }

    /// Returns the process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn data(dir: &Path, [port, ..]: [u16; 3]) -> PathBuf {
    dir.join(format!("etcd-{port}"))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy_folder(&from, &to)? } else { fs::copy(from, to).map(drop)? }
    }
    Ok(())
}

/// Encodes a key or a value.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}
