//! Starts a real HAProxy.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use anyhow::Result;

use crate::process::Process;
use crate::tools;

/// Starts an HAProxy at an address, with its page of statistics at `/haproxy?stats`. `backends` are the lines of the
/// configuration after those of the frontend, which sends all requests to `default`.
///
/// # Errors
/// If it is not installed, or rejects the configuration.
pub fn start(dir: &Path, address: SocketAddr, default: &str, backends: &str) -> Result<Process> {
    let config = format!(
        "defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 1s
frontend push
  bind {address}
  stats enable
  default_backend {default}
{backends}"
    );
    fs::write(dir.join("haproxy.cfg"), config)?;
    let mut command = tools::debian_command("sbin/haproxy")?;
    command.arg("-db").arg("-f").arg(dir.join("haproxy.cfg"));
    let mut process = Process::start("haproxy", command, dir)?;
    process.wait_until("listening", |_| TcpStream::connect(address).ok())?;
    Ok(process)
}
