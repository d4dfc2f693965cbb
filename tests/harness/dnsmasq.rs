//! Starts a real dnsmasq.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;

use anyhow::Result;

use crate::process::{self, Process};
use crate::tools;

/// The libraries of Debian's packages are in a folder with the name of the architecture.
const ARCH: &str = std::env::consts::ARCH;

/// Starts a dnsmasq at a port of 127.0.0.1 that serves only the records in its arguments, with a TTL of a second.
///
/// # Errors
/// If it is not installed or does not become ready, for example because the port is in use.
pub fn start(dir: &Path, port: u16, records: &[&str]) -> Result<Process> {
    let mut command = process::command(&tools::debian("sbin/dnsmasq")?);
    command.env("LD_LIBRARY_PATH", tools::debian(&format!("lib/{ARCH}-linux-gnu"))?);
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--pid-file=",
    ]);
    command.args(["--listen-address=127.0.0.1", "--bind-interfaces", "--local-ttl=1", "--log-facility=-"]);
    command.args([&format!("--port={port}"), "--local=/example.com/", "--user="]).args(records);
    let mut process = Process::start("dnsmasq", command, dir)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    process.wait_until("listening", |_| TcpStream::connect(address).ok())?;
    Ok(process)
}
