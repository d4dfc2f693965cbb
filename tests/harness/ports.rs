//! Free ports for servers that cannot choose one.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

/// Another program may take a port between our choice and the server's start.
const TRIES: usize = 5;
/// Ports below are for the system's own services.
const LOWEST: u16 = 10_000;

/// Starts a server on free ports, and on others if that fails. No other program gets them while the server restarts.
///
/// # Errors
/// The last one of `start`.
pub fn on_free_ports<T>(start: impl Fn([u16; 3]) -> Result<T>) -> Result<T> {
    let mut last = start(free_ports()?);
    for _ in 1..TRIES {
        if last.is_ok() {
            break;
        }
        last = start(free_ports()?);
    }
    last
}

/// Returns three ports, free for TCP and UDP, below the range that the system uses for outgoing connections.
fn free_ports() -> Result<[u16; 3]> {
    let first_outgoing = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32768_u16);
    // Each call continues after the last port, and each program starts elsewhere, so that two tests that start at once
    // do not get the same port.
    static SEED: AtomicUsize = AtomicUsize::new(0);
    let span = usize::from(first_outgoing.saturating_sub(LOWEST)).max(1);
    let mut ports = Vec::new();
    while ports.len() < 3 {
        let step = SEED.fetch_add(1, Ordering::Relaxed);
        let port = LOWEST + ((std::process::id() as usize * 7919 + step) % span) as u16;
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            ports.push(port);
        }
    }
    ports.try_into().map_err(|_| anyhow::anyhow!("no free ports"))
}
