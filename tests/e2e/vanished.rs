//! A machine that vanishes: no packet reaches its gateway anymore, and none comes back.

use std::net::SocketAddr;

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode, Process, machine, poll_until, tools};

use crate::silent::with_owner;

/// The next member stores a text push when Linux has closed the open connection, and any push that needs a new one.
#[test]
fn a_gateway_that_vanishes_fails_no_text_in_endpoint_mode() {
    machine::isolated("vanished::a_gateway_that_vanishes_fails_no_text_in_endpoint_mode", || {
        vanishes(Mode::Cluster, "10.0.0.1", 503);
        vanishes(Mode::Endpoint, "10.0.0.2", 200);
    });
}

/// Pushes to a gateway on a machine of its own, once while it answers and twice after it has vanished.
fn vanishes(mode: Mode, host: &str, expected: u16) {
    let fleet = EnvoyFixture::edited(mode, 1, &[("int_value: 3000", "int_value: 300")]);
    let name = mode.to_string();
    machine::add(&name, &[host]).unwrap();
    let address: SocketAddr = format!("{host}:9091").parse().unwrap();
    let mut command = machine::on(&name, &tools::find("pushgateway").unwrap());
    command.arg(format!("--web.listen-address={address}"));
    let _gateway = Process::start("machine", command, &fleet.layout.live().join("..")).unwrap();
    let path = with_owner(&fleet, address);
    let client = fleet.envoy.client().unwrap();
    let direct = Client::new(address).unwrap();
    poll_until("the gateway", || (direct.get("/-/ready").ok()?.status == 200).then_some(())).unwrap();
    assert_eq!(client.put(&path, "x 1\n").unwrap().status, 200, "{mode}");
    assert_eq!(fleet.requests()[0], 0, "{mode}: the gateway that vanishes must own the group");
    machine::vanish(&name).unwrap();
    for (value, content_type) in [(2, "text/plain"), (3, "application/vnd.google.protobuf")] {
        let headers = [("content-type", content_type)];
        let answer = client.send("PUT", &path, &headers, format!("x {value}\n")).unwrap();
        assert_eq!(answer.status, expected, "{mode}: {}", answer.text());
    }
    let stored = fleet.gateways[0].metrics().unwrap().lines().any(|line| line.ends_with("\"} 3"));
    assert_eq!(stored, mode == Mode::Endpoint, "{mode}");
}
