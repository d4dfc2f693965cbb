//! Sources that lose most of their gateways at once, under load through Envoy. The gateways run on, so each that leaves the ring
//! does so for nothing: never fewer stay than the share of those seen in the last hour, and the ring heals without help.

use std::fs;
use std::net::SocketAddr;

use pushring_harness::etcd::Version;
use pushring_harness::witness::assert_each_group_once;
use pushring_harness::{Etcd, Mode, Pushgateway, poll_until};
use rustix::process::Signal;
use serde_json::json;

use crate::agent::Agent;
use crate::dns::Dnsmasq;
use crate::etcd::{key, put_all};
use crate::running::Discover;
use crate::scene::{Gateways, end, wait_healed, wait_held, watch};

#[test]
fn agents_whose_leases_end_come_back_with_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start(dir.path(), Version::Oldest).unwrap();
    let url = etcd.url();
    let mut agents = [(); 4].map(|()| Agent::start(&["--etcd", &url]));
    let keys = || etcd.values("/service/pushgateway/").unwrap().len();
    poll_until("four keys", || (keys() == 4).then_some(())).unwrap();
    let names = agents.each_ref().map(|agent| agent.gateway.address.to_string());
    let names = names.each_ref().map(String::as_str);
    let mut discover = Discover::with_envoy(Mode::Endpoint, &["--from", "etcd", "--etcd", &url]);
    discover.envoy.as_ref().unwrap().wait_members(&names).unwrap();
    let witness = watch(&discover);
    // The agents are paused beyond their leases.
    agents.iter_mut().for_each(|agent| agent.process.halt().unwrap());
    poll_until("all leases have ended", || (keys() == 0).then_some(())).unwrap();
    wait_held(&mut discover);
    agents.iter_mut().for_each(|agent| agent.process.signal(Signal::CONT));
    wait_healed(&mut discover, 4);
    // So is etcd, until each agent has waited for it longer than that.
    etcd.process().halt().unwrap();
    agents.iter_mut().for_each(|agent| agent.wait_log("registration not renewed", 1));
    etcd.process().signal(Signal::CONT);
    agents.iter_mut().for_each(|agent| agent.wait_log("registry back", 1));
    wait_healed(&mut discover, 4);
    discover.envoy.as_ref().unwrap().wait_members(&names).unwrap();
    end(witness, 2);
}

#[test]
fn keys_that_are_deleted_one_by_one_leave_the_share() {
    let gateways = Gateways::start(4);
    let names = gateways.names();
    let etcd = Etcd::start(gateways.dir.path(), Version::Newest).unwrap();
    put_all(&etcd, &names);
    let mut discover = gateways.follow(Mode::Cluster, &["--from", "etcd", "--etcd", &etcd.url()]);
    let witness = watch(&discover);
    etcd.delete(&key(names[0])).unwrap();
    gateways.wait(&discover, &names[1..]);
    etcd.delete(&key(names[1])).unwrap();
    gateways.wait(&discover, &names[2..]);
    etcd.delete(&key(names[2])).unwrap();
    discover.wait_metric("pushring_discover_held", 1.0);
    etcd.delete(&key(names[3])).unwrap();
    discover.wait_log("vanished; counts as registered (--forget)", 4);
    wait_held(&mut discover);
    gateways.wait(&discover, &names[2..]);
    put_all(&etcd, &names);
    wait_healed(&mut discover, 4);
    gateways.wait(&discover, &names);
    end(witness, 2);
}

#[test]
fn an_etcd_with_an_older_store_or_without_one_is_followed() {
    let gateways = Gateways::start(4);
    let names = gateways.names();
    let mut etcd = Etcd::start(gateways.dir.path(), Version::Newest).unwrap();
    let backup = gateways.dir.path().join("backup");
    put_all(&etcd, &names[..3]);
    etcd.copy_data(&backup).unwrap();
    put_all(&etcd, &names[3..]);
    let mut discover = gateways.follow(Mode::Cluster, &["--from", "etcd", "--etcd", &etcd.url()]);
    let witness = watch(&discover);
    etcd.restart_with(Some(&backup)).unwrap();
    gateways.wait(&discover, &names[..3]);
    discover.wait_metric("pushring_discover_registered", 4.0);
    discover.wait_metric("pushring_discover_held", 0.0);
    put_all(&etcd, &names[3..]);
    wait_healed(&mut discover, 4);
    gateways.wait(&discover, &names);
    etcd.restart_with(None).unwrap();
    wait_held(&mut discover);
    gateways.wait(&discover, &names);
    // They come back one by one, so that the first half of them may be a ring for a moment.
    put_all(&etcd, &names);
    wait_healed(&mut discover, 4);
    end(witness, 2);
}

/// dnsmasq reads its hosts again at SIGHUP, and answers NXDOMAIN for a name that is in none.
#[test]
fn a_name_that_is_gone_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let start = |host: u8, port| {
        Pushgateway::start_at(dir.path(), SocketAddr::from(([127, 0, 0, host], port)), &[]).unwrap()
    };
    let mut all = vec![start(2, 0)];
    let port = all[0].address.port();
    all.extend((3..=5).map(|host| start(host, port)));
    let gateways = Gateways::of(all, dir);
    let names = gateways.names();
    let hosts = gateways.dir.path().join("hosts");
    let write = |count: u8| {
        let lines: String = (0..count).map(|n| format!("127.0.0.{} pg.example.com\n", n + 2)).collect();
        fs::write(&hosts, lines).unwrap();
    };
    write(4);
    let mut dnsmasq = Dnsmasq::start(&[&format!("--addn-hosts={}", hosts.display())]);
    let (server, port) = (dnsmasq.address(), port.to_string());
    let source = ["--from", "dns", "--dns", "pg.example.com", "--port", &port, "--resolver", &server];
    let mut discover = gateways.follow(Mode::Endpoint, &source);
    let witness = watch(&discover);
    let mut reload = |count| {
        write(count);
        dnsmasq.process.signal(Signal::HUP);
    };
    reload(3);
    gateways.wait(&discover, &names[..3]);
    reload(4);
    gateways.wait(&discover, &names);
    reload(0);
    wait_held(&mut discover);
    gateways.wait(&discover, &names);
    reload(4);
    wait_healed(&mut discover, 4);
    end(witness, 3);
}

#[test]
fn a_file_that_is_emptied_or_removed_moves_nothing() {
    let gateways = Gateways::start(4);
    let names = gateways.names();
    let file = gateways.dir.path().join("gateways.json");
    fs::write(&file, json!(names).to_string()).unwrap();
    let mut discover = gateways.follow(Mode::Cluster, &["--from", "file", "--file", file.to_str().unwrap()]);
    let witness = watch(&discover);
    // Each of them is no list, so it is not one without gateways either.
    let cut = &json!(names).to_string()[..20];
    for text in [Some(""), Some("\n"), Some(cut), Some("# 10.0.0.1:9091\n"), None] {
        match text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        discover.wait_metric("pushring_discover_source_up", 0.0);
        discover.stop();
        let (code, error) = discover.once();
        assert!(code.is_some_and(|code| code > 0) && error.contains("gateways.json"), "{code:?}: {error}");
        discover.restart();
        discover.wait_metric("pushring_discover_source_up", 0.0);
        fs::write(&file, json!(names).to_string()).unwrap();
        discover.wait_metric("pushring_discover_source_up", 1.0);
    }
    assert!(!discover.process.log().contains("vanished"), "{}", discover.process.log());
    fs::write(&file, "[]").unwrap();
    wait_held(&mut discover);
    fs::write(&file, json!(names).to_string()).unwrap();
    wait_healed(&mut discover, 4);
    witness.end_unmoved();
    assert_each_group_once(&gateways.all);
}
