//! Starts a real dnsmasq.

use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process::Process;
use crate::tools;

/// Starts a dnsmasq at a port of 127.0.0.1 that serves only the records in its arguments, with a TTL of a second.
///
/// # Errors
/// If it is not installed or does not become ready, for example because the port is in use.
pub fn start(dir: &Path, port: u16, records: &[&str]) -> Result<Process> {
    let mut command = tools::debian_command("sbin/dnsmasq")?;
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

/// Asks a server whether a name has an IPv4 address.
///
/// # Errors
/// If it does not answer within a second, or answers with an error. A name that does not exist is none.
pub fn has_address(server: SocketAddr, name: &str) -> Result<bool> {
    // RFC 1035, section 4: a header with the flag "recursion desired" and one question; type A, class IN.
    let mut question = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len())?);
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.connect(server)?;
    socket.send(&question)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    let code = answer[3] & 0xf;
    ensure!(length >= 12 && matches!(code, 0 | 3), "{name}: the server answers with code {code}");
    Ok(answer[6..8] != [0, 0])
}
