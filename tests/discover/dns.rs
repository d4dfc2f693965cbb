//! Members from DNS, with the servers of Consul and dnsmasq.

use std::net::SocketAddr;
use std::path::Path;

use pushring::fleet::ring_file::RingFile;
use pushring_harness::load::Load;
use pushring_harness::ports::on_free_ports;
use pushring_harness::{Consul, Mode, Process, Pushgateway, dnsmasq, poll_until};

use crate::running::{Discover, wait_pushes};

fn consul(dir: &Path) -> (Consul, String) {
    on_free_ports(|[port, ..]| {
        let consul = Consul::start_with(dir, &[&format!("-dns-port={port}")])?;
        Ok((consul, format!("127.0.0.1:{port}")))
    })
    .unwrap()
}

/// Returns Consul's name of an IPv4 address, with its port.
fn consuls_name(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is no IPv4 address") };
    format!("{:08x}.addr.dc1.consul:{}", u32::from(*address.ip()), address.port())
}

/// A dnsmasq that serves only what its arguments say, with a TTL of a second.
pub(crate) struct Dnsmasq {
    pub(crate) process: Process,
    dir: tempfile::TempDir,
    port: u16,
}

impl Dnsmasq {
    pub(crate) fn start(records: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let start = |[port, ..]: [u16; 3]| Ok((dnsmasq::start(dir.path(), port, records)?, port));
        let (process, port) = on_free_ports(start).unwrap();
        Self { process, dir, port }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it again with other records.
    pub(crate) fn restart(&mut self, records: &[&str]) {
        self.process.kill();
        self.process = dnsmasq::start(self.dir.path(), self.port, records).unwrap();
    }
}

/// Returns names and addresses on the ring.
fn ring(discover: &Discover) -> Vec<(String, String)> {
    let ring = RingFile::read(&discover.layout.live().join("ring.yaml"));
    let members = ring.map(|ring| ring.config.members).unwrap_or_default();
    members.into_iter().map(|member| (member.name, member.address)).collect()
}

fn wait_ring(discover: &Discover, expected: &[(&str, &str)]) {
    let mut wanted: Vec<(String, String)> =
        expected.iter().map(|(name, address)| ((*name).to_owned(), (*address).to_owned())).collect();
    wanted.sort_unstable();
    let same = || {
        let mut found = ring(discover);
        found.sort_unstable();
        (found == wanted).then_some(())
    };
    poll_until("the ring", same).unwrap_or_else(|error| {
        panic!("{error:#}\n{wanted:?}\n{:?}\n{}", ring(discover), discover.process.log())
    });
}

#[test]
fn the_ring_follows_consuls_dns_and_no_push_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (consul, server) = consul(dir.path());
    let gateways = [(); 3].map(|()| Pushgateway::start(dir.path(), &[]).unwrap());
    let addresses = gateways.each_ref().map(|gateway| gateway.address);
    let names = addresses.map(consuls_name);
    let names = names.each_ref().map(String::as_str);
    addresses[..2].iter().for_each(|address| consul.register(*address, "passing").unwrap());
    let source = ["--from", "dns", "--dns", "pushgateway.service.consul", "--resolver", &server];
    let mut discover = Discover::with_envoy(Mode::Cluster, &source);
    let envoy = discover.envoy.as_ref().unwrap();
    envoy.wait_members(&names[..2]).unwrap();
    let load = Load::start(envoy.push, 2);
    consul.register(addresses[2], "passing").unwrap();
    envoy.wait_members(&names).unwrap();
    // Consul's DNS lists passing services only.
    consul.set_status(addresses[0], "critical").unwrap();
    envoy.wait_members(&names[1..]).unwrap();
    consul.set_status(addresses[0], "passing").unwrap();
    envoy.wait_members(&names).unwrap();
    load.stop().assert_none_failed();
    discover.wait_log("vanished; counts as registered (--forget)", 1);
    discover.wait_metric("pushring_discover_source_up", 1.0);
    wait_pushes(&gateways);
    discover.stop();
}

/// Consul leaves most of them out of its answers over UDP, and does not say so.
#[test]
fn reads_all_of_many_records() {
    let dir = tempfile::tempdir().unwrap();
    let (consul, server) = consul(dir.path());
    let all: Vec<SocketAddr> = (1..=100).map(|host| SocketAddr::from(([10, 0, 0, host], 9091))).collect();
    all.iter().for_each(|address| consul.register(*address, "passing").unwrap());
    let source = ["--from", "dns", "--dns", "pushgateway.service.consul", "--resolver", &server];
    let srv: Vec<_> = all.iter().map(|address| (consuls_name(*address), address.to_string())).collect();
    let addresses: Vec<_> = all.iter().map(|address| (address.to_string(), address.to_string())).collect();
    for (more, expected) in [(&[][..], srv), (&["--port", "9091"], addresses)] {
        let mut discover = Discover::start(&[&source[..], more].concat());
        let pairs = expected.iter().map(|(name, address)| (name.as_str(), address.as_str()));
        wait_ring(&discover, &pairs.collect::<Vec<_>>());
        assert!(!discover.process.log().contains("vanished"), "{}", discover.process.log());
        discover.stop();
    }
}

#[test]
fn a_name_keeps_its_groups_when_its_address_changes() {
    let record =
        |target: &str| format!("--srv-host=_pushgateway._tcp.example.com,{target}.example.com,9091,0,1");
    let (one, two, three) = (record("gw1"), record("gw2"), record("gw3"));
    let host = |name: &str, address: &str| format!("--host-record={name}.example.com,{address}");
    let (a1, a2, a3) = (host("gw1", "10.0.0.1"), host("gw2", "10.0.0.2"), host("gw3", "10.0.0.3"));
    let mut dnsmasq = Dnsmasq::start(&[&one, &two, &three, &a1, &a2, &a3]);
    let server = dnsmasq.address();
    let source = ["--from", "dns", "--dns", "_pushgateway._tcp.example.com", "--resolver", &server];
    let mut discover = Discover::start(&source);
    let names = ["gw1.example.com:9091", "gw2.example.com:9091", "gw3.example.com:9091"];
    let old = [(names[0], "10.0.0.1:9091"), (names[1], "10.0.0.2:9091"), (names[2], "10.0.0.3:9091")];
    wait_ring(&discover, &old);
    dnsmasq.restart(&[&one, &two, &three, &a1, &a2, &host("gw3", "10.0.0.30")]);
    wait_ring(&discover, &[old[0], old[1], (names[2], "10.0.0.30:9091")]);
    // Aliases of hosts, which RFC 2782 forbids and people use.
    let alias = "--cname=gw3.example.com,pg.example.com";
    dnsmasq.restart(&[&one, &two, &three, &a1, &a2, alias, &host("pg", "10.0.0.31")]);
    wait_ring(&discover, &[old[0], old[1], (names[2], "10.0.0.31:9091")]);
    // A host without an address is a gateway that vanished.
    dnsmasq.restart(&[&one, &two, &three, &a1, &a2]);
    wait_ring(&discover, &old[..2]);
    discover.wait_metric("pushring_discover_registered", 3.0);
    // The server is away; then the name is, which is no error.
    dnsmasq.process.kill();
    discover.wait_metric("pushring_discover_source_up", 0.0);
    wait_ring(&discover, &old[..2]);
    dnsmasq.restart(&[]);
    discover.wait_metric("pushring_discover_held", 1.0);
    discover.wait_metric("pushring_discover_source_up", 1.0);
    wait_ring(&discover, &old[..2]);
    dnsmasq.restart(&[&one, &two, &three, &a1, &a2, &a3]);
    wait_ring(&discover, &old);
    discover.wait_metric("pushring_discover_held", 0.0);
    discover.stop();
}

#[test]
fn the_addresses_of_a_name_are_gateways_with_one_port() {
    let mut dnsmasq = Dnsmasq::start(&[
        "--host-record=pg.example.com,10.0.0.1,fd00::1",
        "--host-record=pg.example.com,10.0.0.2",
        "--cname=alias.example.com,pg.example.com",
    ]);
    let server = dnsmasq.address();
    let source = ["--from", "dns", "--dns", "alias.example.com", "--port", "9091", "--resolver", &server];
    let mut discover = Discover::start(&source);
    discover.wait_ring(&["10.0.0.1:9091", "10.0.0.2:9091"]);
    dnsmasq.restart(&["--host-record=alias.example.com,fd00::1", "--host-record=alias.example.com,fd00::2"]);
    discover.wait_ring(&["[fd00::1]:9091", "[fd00::2]:9091"]);
    discover.wait_metric("pushring_discover_registered", 4.0);
    discover.stop();
}
