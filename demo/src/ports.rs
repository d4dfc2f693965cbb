//! The ports of one demo: a block of consecutive ports, so that one number moves them all.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};

use crate::registry::{Source, pod_address};

/// Offset of `pushring serve`, behind the ports of the registry.
const SERVE: u16 = 6;
/// Offset of the first Pushgateway.
const GATEWAYS: u16 = 10;
/// Distance between suggested blocks.
const STRIDE: u16 = 100;
/// First suggested block. Suggestions stay below the ports that systems use for outgoing connections.
const SUGGESTED: std::ops::Range<u16> = 20_091..32_000;

/// A block of free ports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    first: u16,
    gateways: u16,
    source: Source,
}

impl Ports {
    /// Returns the block that begins with `first`; 0 is any free block.
    ///
    /// # Errors
    /// If a port is in use, with the process that uses it and another block.
    pub(crate) fn choose(first: u16, gateways: u16, source: Source) -> Result<Self> {
        let wanted = Self { first, gateways, source };
        if first == 0 {
            return wanted.another().context("no block of free ports between 20091 and 32000");
        }
        let Some((port, purpose)) = wanted.all().into_iter().find(|(port, _)| !is_free(*port)) else {
            return Ok(wanted);
        };
        let by = holder(port).map(|holder| format!(" by {holder}")).unwrap_or_default();
        let instead = match wanted.another() {
            Some(other) => format!("stop that process or use other ports: make run PORT={}", other.first),
            None => "stop that process".to_owned(),
        };
        bail!("port {port} (for {purpose}) is in use{by}; {instead}")
    }

    /// Returns the port for pushes.
    pub(crate) fn push(self) -> u16 {
        self.first
    }

    /// Returns the port for the gateways' own pages, which bypass the ring.
    pub(crate) fn operator(self) -> u16 {
        self.first + 1
    }

    /// Returns the port of Envoy's admin interface.
    pub(crate) fn admin(self) -> u16 {
        self.first + 2
    }

    /// Returns the ports of the registry; of Consul: HTTP API, server, gossip.
    pub(crate) fn registry(self) -> [u16; 3] {
        [3, 4, 5].map(|offset| self.first + offset)
    }

    /// Returns the address of `pushring serve`.
    pub(crate) fn serve(self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.first + SERVE).into()
    }

    /// Returns the addresses of the first Pushgateways.
    pub(crate) fn gateways(self) -> Vec<SocketAddr> {
        (0..self.gateways).map(|index| self.gateway(index)).collect()
    }

    /// Returns the address of the Pushgateway that is no member at the start.
    pub(crate) fn spare(self) -> SocketAddr {
        self.gateway(self.gateways)
    }

    fn gateway(self, index: u16) -> SocketAddr {
        if self.source == Source::Kubernetes {
            return pod_address(index);
        }
        let first = self.first + GATEWAYS;
        // Addresses in DNS have no port: all gateways have the same, at addresses of their own.
        if self.source == Source::Dns {
            return ([127, 0, 1, index as u8 + 1], first).into();
        }
        (Ipv4Addr::LOCALHOST, first + index).into()
    }

    fn all(self) -> Vec<(u16, &'static str)> {
        let mut all = vec![
            (self.push(), "pushes"),
            (self.operator(), "operators"),
            (self.admin(), "Envoy's admin page"),
            (self.serve().port(), "pushring serve"),
        ];
        if let (_, Some(name)) = self.source.names() {
            all.extend(self.registry().map(|port| (port, name)));
        }
        all.extend(self.gateways().iter().map(|gateway| (gateway.port(), "a pushgateway")));
        all.push((self.spare().port(), "the spare pushgateway"));
        all
    }

    fn another(self) -> Option<Self> {
        // Two demos that start at the same time begin at different blocks.
        let blocks = SUGGESTED.step_by(STRIDE.into());
        let skip = if self.first == 0 { std::process::id() as usize % blocks.len() } else { 0 };
        let from_there = blocks.clone().skip(skip).chain(blocks.take(skip));
        let mut others = from_there.map(|first| Self { first, ..self });
        others.find(|other| other.all().into_iter().all(|(port, _)| is_free(port)))
    }
}

/// Returns the first of `count` consecutive free ports: `first`, or that of any such block if it is 0.
///
/// # Errors
/// If a port is in use, with the process that uses it; `command` is the one to repeat with another block.
pub(crate) fn block(first: u16, count: u16, command: &str) -> Result<u16> {
    let used = |first: u16| (first..first + count).find(|port| !is_free(*port));
    let mut others = SUGGESTED.step_by(STRIDE.into());
    if first == 0 {
        return others
            .find(|other| used(*other).is_none())
            .context("no block of free ports between 20091 and 32000");
    }
    let Some(port) = used(first) else { return Ok(first) };
    let by = holder(port).map(|holder| format!(" by {holder}")).unwrap_or_default();
    let other = others.find(|other| used(*other).is_none()).unwrap_or_default();
    bail!("port {port} is in use{by}; stop that process or use other ports: {command} PORT={other}")
}

/// Returns whether no server listens on the port.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Returns the process that listens on a port, if the user may see it.
fn holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| listening_inode(&fs::read_to_string(table).ok()?, port))?;
    let socket = format!("socket:[{inode}]");
    let holds = |process: &u32| {
        let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
        files
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str()))
    };
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let process = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(holds)?;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(format!("{} (process {process})", name.trim()))
}

/// Finds the inode of the socket in state LISTEN (0A) in the table that proc(5) describes.
fn listening_inode(table: &str, port: u16) -> Option<String> {
    let local = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&local) && *fields.get(3)? == "0A";
        fields.get(9).filter(|_| listens).map(|inode| (*inode).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_used_port_its_process_and_another_block() {
        let free = Ports::choose(0, 3, Source::Consul).unwrap();
        let gateway = free.gateways()[1].port();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, gateway)).unwrap();
        let message = Ports::choose(free.push(), 3, Source::Consul).unwrap_err().to_string();
        assert!(message.starts_with(&format!("port {gateway} (for a pushgateway) is in use")), "{message}");
        if cfg!(target_os = "linux") {
            assert!(message.contains(&format!("(process {})", std::process::id())), "{message}");
        }
        let (_, other) = message.rsplit_once("make run PORT=").unwrap();
        assert!(Ports::choose(other.parse().unwrap(), 3, Source::Consul).is_ok(), "{message}");
    }

    #[test]
    fn no_port_serves_two_purposes() {
        let mut ports: Vec<u16> = Ports { first: 1, gateways: 50, source: Source::Consul }
            .all()
            .into_iter()
            .map(|(port, _)| port)
            .collect();
        let all = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!((ports.len(), all), (58, 58));
    }

    #[test]
    fn reads_the_table_of_sockets() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:4A93 0100007F:1234 01 00000000:00000000 00:00000000 00000000  0 0 11 1 0\n\
             1: 0100007F:4A93 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 12 1 0\n";
        assert_eq!(listening_inode(table, 19091).as_deref(), Some("12"));
        assert_eq!(listening_inode(table, 19092), None);
    }
}
