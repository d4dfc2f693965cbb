//! Records of a DNS server.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::State;
use crate::ports::on_free_ports;
use crate::{Process, dnsmasq, poll_until};

/// The name whose SRV records are the gateways.
const NAME: &str = "_pushgateway._tcp.example.com";

/// dnsmasq. It reads addresses while it runs, but SRV records only at its start: they are there for all gateways, and a
/// gateway is listed while its target has an address. DNS has no status, so a critical gateway has no address.
#[derive(Debug)]
pub(crate) struct Hosts {
    process: Process,
    dir: PathBuf,
    server: SocketAddr,
    /// The targets of all gateways.
    targets: BTreeMap<SocketAddr, String>,
    listed: BTreeMap<SocketAddr, String>,
}

impl Hosts {
    pub(super) fn start(dir: &Path, all: &[SocketAddr]) -> Result<Self> {
        let target =
            |(index, address): (usize, &SocketAddr)| (*address, format!("gateway-{index}.example.com"));
        let targets = all.iter().enumerate().map(target).collect();
        write(dir, &BTreeMap::new())?;
        let (process, port) = on_free_ports(|[port, ..]| Ok((serve(dir, port, &targets)?, port)))?;
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { process, dir: dir.to_owned(), server, targets, listed: BTreeMap::new() })
    }

    pub(super) fn flags(&self) -> Vec<String> {
        vec!["--from=dns".to_owned(), format!("--dns={NAME}"), format!("--resolver={}", self.server)]
    }

    pub(super) fn member(&self, address: SocketAddr) -> String {
        let target = self.targets.get(&address).map(String::as_str).unwrap_or_default();
        format!("{target}:{}", address.port())
    }

    /// Returns when the server answers with the change, which it reads in the background.
    pub(super) fn set_state(&mut self, address: SocketAddr, to: State) -> Result<()> {
        let target = self.targets.get(&address).context("an unknown gateway")?;
        if to == State::Passing {
            self.listed.insert(address, target.clone());
        } else {
            self.listed.remove(&address);
        }
        write(&self.dir, &self.listed)?;
        self.process.signal(Signal::HUP);
        poll_until("the change in DNS", || {
            let listed = dnsmasq::has_address(self.server, target).ok()?;
            (listed == (to == State::Passing)).then_some(())
        })
    }

    pub(super) fn restart(&mut self, away: Duration) -> Result<()> {
        self.process.kill();
        thread::sleep(away);
        self.process = serve(&self.dir, self.server.port(), &self.targets)?;
        Ok(())
    }
}

fn serve(dir: &Path, port: u16, targets: &BTreeMap<SocketAddr, String>) -> Result<Process> {
    let srv = |(address, target): (&SocketAddr, &String)| {
        format!("--srv-host={NAME},{target},{},0,1", address.port())
    };
    let hosts = format!("--addn-hosts={}", dir.join("hosts").display());
    let records: Vec<String> = targets.iter().map(srv).chain([hosts]).collect();
    dnsmasq::start(dir, port, &records.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Writes the addresses of the targets.
fn write(dir: &Path, listed: &BTreeMap<SocketAddr, String>) -> Result<()> {
    let mut lines = String::new();
    for (address, target) in listed {
        writeln!(lines, "{} {target}", address.ip())?;
    }
    fs::write(dir.join("hosts.new"), lines)?;
    Ok(fs::rename(dir.join("hosts.new"), dir.join("hosts"))?)
}
