//! Members from etcd.

use std::net::SocketAddr;

use pushring_harness::etcd::Version;
use pushring_harness::load::Load;
use pushring_harness::{Etcd, Mode, Pushgateway};
use serde_json::json;

use crate::running::{Discover, wait_pushes};

/// Returns the value of a gateway as services of this kind register it.
pub(crate) fn value(address: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    json!({
        "id": format!("pushgateway-{port}"), "name": "pushgateway", "host": host, "port": port, "lease_time": 15,
        "routes": [{"path": "/metrics", "method": "GET"}],
    })
    .to_string()
}

pub(crate) fn key(id: impl std::fmt::Display) -> String {
    format!("/service/pushgateway/{id}")
}

/// Stores gateways without a server, `10.0.0.1:9091` and so on.
pub(crate) fn put_all(etcd: &Etcd, gateways: &[&str]) {
    for gateway in gateways {
        etcd.put(key(gateway), value(gateway)).unwrap();
    }
}

pub(crate) const FOUR: [&str; 4] = ["10.0.0.1:9091", "10.0.0.2:9091", "10.0.0.3:9091", "10.0.0.4:9091"];

fn follows(version: Version, mode: Mode) {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path(), version).unwrap();
    let gateways = [(); 3].map(|()| Pushgateway::start(dir.path(), &[]).unwrap());
    let addresses: Vec<SocketAddr> = gateways.iter().map(|gateway| gateway.address).collect();
    let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    put_all(&etcd, &names[..2]);
    let mut discover = Discover::with_envoy(mode, &["--from", "etcd", "--etcd", &etcd.url()]);
    let envoy = discover.envoy.as_ref().unwrap();
    envoy.wait_members(&names[..2]).unwrap();
    let load = Load::start(envoy.push, 2);
    etcd.put(key(names[2]), value(names[2])).unwrap();
    envoy.wait_members(&names).unwrap();
    // It says that it leaves, and the lease of another ends.
    let mut leaving: serde_json::Value = serde_json::from_str(&value(names[0])).unwrap();
    leaving["leaving"] = true.into();
    etcd.put(key(names[0]), leaving.to_string()).unwrap();
    envoy.wait_members(&names[1..]).unwrap();
    etcd.delete(&key(names[0])).unwrap();
    etcd.put(key(names[0]), value(names[0])).unwrap();
    envoy.wait_members(&names).unwrap();
    let lease = etcd.lease(1).unwrap();
    etcd.put_leased(&key(names[1]), &value(names[1]), &lease).unwrap();
    envoy.wait_members(&[names[0], names[2]]).unwrap();
    load.stop().assert_none_failed();
    discover.wait_metric("pushring_discover_registered", 3.0);
    discover.wait_metric("pushring_discover_on_ring", 2.0);
    discover.wait_log("left", 1);
    discover.wait_log("vanished; counts as registered (--forget)", 1);
    wait_pushes(&gateways);
    discover.stop();
}

#[test]
fn the_ring_follows_the_oldest_etcd_and_no_push_is_lost() {
    follows(Version::Oldest, Mode::Cluster);
}

#[test]
fn the_ring_follows_the_newest_etcd_and_no_push_is_lost() {
    follows(Version::Newest, Mode::Endpoint);
}

#[test]
fn reads_more_keys_than_one_answer_has_and_only_those_of_the_service() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path(), Version::Oldest).unwrap();
    let gateways: Vec<String> = (0..1000).map(|n| format!("10.0.{}.{}:9091", n / 250, n % 250 + 1)).collect();
    for some in gateways.chunks(100) {
        let puts: Vec<_> = some
            .iter()
            .map(|one| json!({"request_put": {"key": pushring_harness::etcd::base64(key(one)), "value": pushring_harness::etcd::base64(value(one))}}))
            .collect();
        etcd.call("kv/txn", &json!({"success": puts})).unwrap();
    }
    etcd.put("/service/pushgateway2/a", value("10.9.0.1:9091")).unwrap();
    etcd.put("/service/pushgateway", value("10.9.0.2:9091")).unwrap();
    let url = etcd.url();
    let mut discover = Discover::start(&["--from", "etcd", "--etcd", &url]);
    let names: Vec<&str> = gateways.iter().map(String::as_str).collect();
    discover.wait_ring(&names);
    // Another service, and the names of keys after those of the service, change nothing.
    etcd.put("/service/pushgateway2/b", value("10.9.0.3:9091")).unwrap();
    etcd.put("/service/pushgateway0", value("10.9.0.4:9091")).unwrap();
    etcd.put(key("x"), value("10.0.9.9:9091")).unwrap();
    discover.wait_ring(&[&names[..], &["10.0.9.9:9091"]].concat());
    discover.stop();
}

#[test]
fn hostile_values_keep_no_other_gateway_from_the_ring() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    let deep = "[".repeat(200_000);
    let values: &[&[u8]] = &[
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"[\"10.0.0.9\", 9091, null, null, null, null, null]",
        b"\"10.0.0.9:9091\"",
        b"{\"host\": \"10.0.0.9\"}",
        b"{\"host\": 10, \"port\": 9091}",
        b"{\"host\": \"10.0.0.9\", \"port\": \"9091\"}",
        b"{\"host\": \"10.0.0.9\", \"port\": 70000}",
        b"{\"host\": \"10.0.0.9\", \"port\": -1}",
        b"{\"host\": \"10.0.0.9\", \"port\": 1e400}",
        b"{\"host\": \"a b\\u0000\\u001b[31m\", \"port\": 9091}",
        b"{\"host\": \"\", \"port\": 9091}",
        b"{\"host\": \"10.0.0.9\", \"port\": 9091, \"weight\": \"heavy\"}",
        b"{\"host\": \"10.0.0.9\", \"port\": 9091, \"scheme\": \"gopher\"}",
        b"{\"host\": \"10.0.0.9\", \"port\": 9091, \"leaving\": 1}",
        deep.as_bytes(),
    ];
    let mut discover = Discover::start(&["--from", "etcd", "--etcd", &etcd.url()]);
    put_all(&etcd, &FOUR[..2]);
    discover.wait_ring(&FOUR[..2]);
    // Present at the first list, and put later.
    for _ in 0..2 {
        for (index, value) in values.iter().enumerate() {
            etcd.put(key(format!("bad{index}")), value).unwrap();
            etcd.put([key("odd").as_bytes(), &[0xff, 0, b'\n', 0x1b, index as u8]].concat(), value).unwrap();
        }
        etcd.put(key("x".repeat(10_000)), b"{").unwrap();
        // Five times the size of a list's answer, in all.
        for index in 0..12 {
            let huge = format!(r#"{{"host": "10.0.0.9", "port": 9091, "x": "{}"}}"#, "x".repeat(1_400_000));
            etcd.put(key(format!("huge{index}")), huge).unwrap();
        }
        put_all(&etcd, &FOUR);
        discover.wait_ring(&FOUR);
        discover.stop();
        etcd.delete(&key(FOUR[2])).unwrap();
        etcd.delete(&key(FOUR[3])).unwrap();
        discover.restart();
        discover.wait_ring(&FOUR[..2]);
    }
    let log = discover.process.log();
    assert!(log.contains("bad0: found nothing") && log.contains("more values cannot be read"), "{log}");
    assert!(!log.contains(['\u{1b}', '\0']));
}

#[test]
fn tries_every_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path(), Version::Oldest).unwrap();
    put_all(&etcd, &FOUR);
    let endpoints = format!("http://127.0.0.1:1,{}", etcd.url());
    let discover = Discover::start(&["--from", "etcd", "--etcd", &endpoints, "--etcd", "http://127.0.0.1:2"]);
    discover.wait_ring(&FOUR);
    assert!(!discover.process.log().contains("source away"), "{}", discover.process.log());
}
