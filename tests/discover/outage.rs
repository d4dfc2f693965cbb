//! Sources that are away for a while, under load through Envoy: five seconds, or five minutes in `make outage`.

use std::fs;
use std::thread;

use pushring_harness::etcd::Version;
use pushring_harness::witness::{assert_each_group_once, sit_out};
use pushring_harness::{Consul, Etcd, Mode};
use rustix::process::Signal;
use serde_json::json;

use crate::dns::Dnsmasq;
use crate::etcd::{key, put_all};
use crate::running::Discover;
use crate::scene::{Gateways, watch};

/// Takes the source away for a while. `back` brings it back, and takes one gateway out of it.
fn ride_out(
    gateways: &Gateways,
    mut discover: Discover,
    away: impl FnOnce(),
    back: impl FnOnce(),
    remove_first: impl FnOnce(),
) {
    let members = gateways.names.len();
    let witness = watch(&discover);
    away();
    discover.wait_metric("pushring_discover_source_up", 0.0);
    sit_out(thread::current().name().unwrap_or_default(), &discover.process);
    for (name, value) in [("source_up", 0.0), ("held", 0.0), ("registered", members as f64)] {
        assert_eq!(discover.metric(&format!("pushring_discover_{name}")), Some(value), "{name}");
    }
    back();
    discover.wait_metric("pushring_discover_source_up", 1.0);
    assert_eq!(discover.metric("pushring_discover_on_ring"), Some(members as f64));
    witness.end_unmoved();
    assert_each_group_once(&gateways.all);
    let log = discover.process.log();
    assert!(!log.contains("vanished") && log.contains("source back"), "{log}");
    remove_first();
    gateways.wait(&discover, &gateways.names()[1..]);
    discover.stop();
}

fn etcd(mode: Mode, version: Version, is_paused: bool) {
    let gateways = Gateways::start(4);
    let mut etcd = Etcd::start(gateways.dir.path(), version).unwrap();
    put_all(&etcd, &gateways.names());
    let discover = gateways.follow(mode, &["--from", "etcd", "--etcd", &etcd.url()]);
    let etcd = std::cell::RefCell::new(&mut etcd);
    ride_out(
        &gateways,
        discover,
        || match is_paused {
            true => etcd.borrow_mut().process().halt().unwrap(),
            false => etcd.borrow_mut().process().kill(),
        },
        || match is_paused {
            true => etcd.borrow_mut().process().signal(Signal::CONT),
            false => etcd.borrow_mut().restart().unwrap(),
        },
        || etcd.borrow_mut().delete(&key(&gateways.names[0])).unwrap(),
    );
}

#[test]
fn etcd_is_away() {
    etcd(Mode::Cluster, Version::Oldest, false);
}

#[test]
fn etcd_is_paused() {
    etcd(Mode::Endpoint, Version::Newest, true);
}

#[test]
fn consul_is_away() {
    let gateways = Gateways::start(4);
    let consul = Consul::start_persistent(gateways.dir.path()).unwrap();
    let addresses: Vec<_> = gateways.all.iter().map(|gateway| gateway.address).collect();
    addresses.iter().for_each(|address| consul.register(*address, "passing").unwrap());
    let discover =
        gateways.follow(Mode::Endpoint, &["--from", "consul", "--consul", &consul.address.to_string()]);
    let consul = std::cell::RefCell::new(consul);
    ride_out(
        &gateways,
        discover,
        || {
            // The agent remembers the status of a check that was updated.
            addresses.iter().for_each(|address| consul.borrow().set_status(*address, "passing").unwrap());
            consul.borrow_mut().process().kill();
        },
        || consul.borrow_mut().restart().unwrap(),
        || consul.borrow().deregister(addresses[0]).unwrap(),
    );
}

#[test]
fn the_dns_server_is_away() {
    let gateways = Gateways::start(4);
    let record = |port| format!("--srv-host=pg.example.com,localhost.example.com,{port},0,1");
    let mut records: Vec<String> =
        gateways.all.iter().map(|gateway| record(gateway.address.port())).collect();
    records.push("--host-record=localhost.example.com,127.0.0.1".to_owned());
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let dnsmasq = Dnsmasq::start(&records);
    let discover = Discover::with_envoy(
        Mode::Cluster,
        &["--from", "dns", "--dns", "pg.example.com", "--resolver", &dnsmasq.address()],
    );
    // Their names in DNS.
    let name = |port| format!("localhost.example.com:{port}");
    let names = gateways.all.iter().map(|gateway| name(gateway.address.port())).collect();
    let gateways = Gateways { names, ..gateways };
    gateways.wait(&discover, &gateways.names());
    let dnsmasq = std::cell::RefCell::new(dnsmasq);
    ride_out(
        &gateways,
        discover,
        || dnsmasq.borrow_mut().process.kill(),
        || dnsmasq.borrow_mut().restart(&records),
        || dnsmasq.borrow_mut().restart(&records[1..]),
    );
}

#[test]
fn the_file_is_away() {
    let gateways = Gateways::start(4);
    let folder = gateways.dir.path().join("list");
    let file = folder.join("gateways.json");
    let write = |names: &[&str]| {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("new"), json!(names).to_string()).unwrap();
        fs::rename(folder.join("new"), &file).unwrap();
    };
    write(&gateways.names());
    let discover = gateways.follow(Mode::Cluster, &["--from", "file", "--file", file.to_str().unwrap()]);
    ride_out(
        &gateways,
        discover,
        || fs::remove_dir_all(&folder).unwrap(),
        || write(&gateways.names()),
        || write(&gateways.names()[1..]),
    );
}
