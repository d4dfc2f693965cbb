//! Starts a real Redis that keeps everything in memory: after a kill it is empty.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::ports::on_free_ports;
use crate::process::Process;
use crate::tools;

/// A running Redis. Dropping it kills the process.
#[derive(Debug)]
pub struct Redis {
    /// The address for clients.
    pub address: SocketAddr,
    process: Process,
    dir: PathBuf,
}

impl Redis {
    /// Starts a Redis on a free port; its log is in `dir`.
    ///
    /// # Errors
    /// If it is not installed or does not become ready.
    pub fn start(dir: &Path) -> Result<Self> {
        on_free_ports(|[port, ..]| Self::start_at(dir, port))
    }

    fn start_at(dir: &Path, port: u16) -> Result<Self> {
        let mut command = tools::stores_command("bin/redis-server")?;
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.arg("--dir").arg(dir);
        let mut process = Process::start("redis", command, dir)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        process.wait_until("ready", |_| {
            call(address, "PING").ok().filter(|answer| answer.starts_with("+PONG")).map(drop)
        })?;
        Ok(Self { address, process, dir: dir.to_owned() })
    }

    /// Starts it again, at the same port, after its process was killed.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart(&mut self) -> Result<()> {
        *self = Self::start_at(&self.dir, self.address.port())?;
        Ok(())
    }

    /// Returns the number of keys.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn keys(&self) -> Result<u64> {
        Ok(call(self.address, "DBSIZE")?.trim().trim_start_matches(':').parse()?)
    }

    /// Returns the process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Sends a command and returns the beginning of the answer, which suffices for a short one.
fn call(address: SocketAddr, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = [0; 256];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned())
}
