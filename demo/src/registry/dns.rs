//! Addresses of a name in DNS, which dnsmasq reads from a hosts file.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use pushring_harness::{Process, dnsmasq};

use super::{Place, Registry, Server, Step};
use crate::screen;

/// The name whose addresses are the gateways.
const NAME: &str = "pushgateway.example.com";

/// dnsmasq and its hosts file.
#[derive(Debug)]
pub(super) struct DnsServer {
    process: Process,
    resolver: SocketAddr,
    /// The port of all gateways.
    port: u16,
    hosts: PathBuf,
}

impl DnsServer {
    pub(super) fn start(place: &Place<'_>) -> Result<Self> {
        let hosts = place.dir.join("hosts");
        let lines: String =
            place.gateways.iter().map(|address| format!("{} {NAME}\n", address.ip())).collect();
        fs::write(&hosts, lines)?;
        let [port, ..] = place.ports;
        let records = format!("--addn-hosts={}", hosts.display());
        let process = screen::step("dnsmasq", || dnsmasq::start(place.dir, port, &[&records]))?;
        let gateway_port = place.gateways.first().map(SocketAddr::port).unwrap_or_default();
        Ok(Self { process, resolver: ([127, 0, 0, 1], port).into(), port: gateway_port, hosts })
    }
}

impl Registry for DnsServer {
    fn flags(&self) -> Vec<String> {
        let (port, resolver) = (self.port, self.resolver);
        let name = ["--from=dns".to_owned(), format!("--dns={NAME}")];
        let server = [format!("--port={port}"), format!("--resolver={resolver}")];
        name.into_iter().chain(server).collect()
    }

    fn guide(&self, spare: SocketAddr, _members: &[(SocketAddr, u32)]) -> Vec<Step> {
        let hosts = screen::short(&self.hosts);
        let reload = format!("kill -HUP {}", self.process.id());
        let ip = spare.ip();
        vec![
            Step::new(
                format!(
                    "dnsmasq answers from {hosts}. Add the spare gateway there, and let dnsmasq read it:"
                ),
                [format!("echo '{ip} {NAME}' >> {hosts} && {reload}")],
            ),
            Step::new(
                "Remove it. DNS cannot say that a gateway leaves, so it vanishes, and counts as registered for a minute:",
                [format!("sed -i.bak '/^{ip} /d' {hosts} && {reload}")],
            ),
        ]
    }

    fn servers(&mut self) -> Vec<Server<'_>> {
        vec![Server { name: "dnsmasq".to_owned(), process: &mut self.process, restart: None }]
    }
}
