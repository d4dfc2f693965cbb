//! The identity of members if Consul has unusual registrations.

use std::net::SocketAddr;

use pushring_harness::{Consul, ConsulFixture, Mode, Pushgateway, poll_until};
use serde_json::json;

fn register_named(consul: &Consul, name: &str, address: SocketAddr) {
    let service = json!({
        "Name": "pushgateway", "ID": name, "Address": address.ip(), "Port": address.port(),
        "Meta": {"pushring-name": name}, "Check": {"TTL": "24h", "Status": "passing"},
    });
    consul.put("/v1/agent/service/register", &service).unwrap();
}

/// As a StatefulSet's pod gets another address when it is rescheduled.
#[test]
fn an_address_that_changes_under_the_same_name_moves_no_group() {
    for mode in Mode::ROUTED {
        let fixture = ConsulFixture::start(mode, 0, &[]);
        let mut gateways: Vec<Pushgateway> = (0..3).map(|_| fixture.gateway()).collect();
        let names = ["pushgateway-0", "pushgateway-1", "pushgateway-2"];
        for (name, gateway) in names.iter().zip(&gateways) {
            register_named(&fixture.consul, name, gateway.address);
        }
        fixture.envoy.wait_members(&names).unwrap();
        let before = owners(&fixture);

        gateways[1] = fixture.gateway();
        register_named(&fixture.consul, names[1], gateways[1].address);
        let client = fixture.envoy.client().unwrap();
        let moved = before.iter().position(|owner| owner == names[1]).unwrap();
        poll_until("a push to reach the new address", || {
            let status = client.put(&group(moved), "x 1\n").ok()?.status;
            (status == 200 && !gateways[1].groups().ok()?.is_empty()).then_some(())
        })
        .unwrap();
        fixture.envoy.wait_members(&names).unwrap();
        assert_eq!(owners(&fixture), before, "{mode}");
    }
}

fn group(number: usize) -> String {
    format!("/metrics/job/job{number}/instance/x")
}

/// Names of the owners of 200 groups.
fn owners(fixture: &ConsulFixture) -> Vec<String> {
    let client = fixture.envoy.client().unwrap();
    let owner = |number| {
        let answer = client.send("GET", &group(number), &[("accept", "application/json")], "").unwrap();
        answer.json().unwrap()["owner"]["name"].as_str().unwrap().to_owned()
    };
    (0..200).map(owner).collect()
}

#[test]
fn one_address_on_two_nodes_is_one_member_as_long_as_one_passes() {
    let fixture = ConsulFixture::start(Mode::Endpoint, 0, &[]);
    let member = SocketAddr::from(([10, 0, 0, 1], 9091));
    let other = SocketAddr::from(([10, 0, 0, 2], 9091));
    fixture.catalog("node-a", "10.0.0.1", 9091, "passing");
    fixture.catalog("node-b", "10.0.0.1", 9091, "critical");
    fixture.wait_ring(&[member]);
    // The other node passes, this one does not: still the same member. The further member shows that both were seen.
    fixture.catalog("node-b", "10.0.0.1", 9091, "passing");
    fixture.catalog("node-a", "10.0.0.1", 9091, "critical");
    fixture.catalog("node-a", "10.0.0.2", 9091, "passing");
    fixture.wait_ring(&[member, other]);
    fixture.catalog("node-b", "10.0.0.1", 9091, "critical");
    fixture.wait_ring(&[other]);
}

#[test]
fn limits_weights_and_accepts_a_service_without_a_check() {
    let fixture = ConsulFixture::start(Mode::Cluster, 0, &[]);
    for (host, weight) in [("10.0.0.1", 65535), ("10.0.0.2", 101), ("10.0.0.3", 7)] {
        let service = json!({
            "Name": "pushgateway", "ID": host, "Address": host, "Port": 9091,
            "Weights": {"Passing": weight, "Warning": 1},
        });
        fixture.consul.put("/v1/agent/service/register", &service).unwrap();
    }
    fixture.envoy.wait_members(&["10.0.0.1:9091", "10.0.0.2:9091", "10.0.0.3:9091"]).unwrap();
    let weights: Vec<u64> = fixture.members().into_iter().map(|(_, weight)| weight).collect();
    assert_eq!(weights, [100, 100, 7]);
}

/// A registration that the filter would reject is skipped, and the log names it.
#[test]
fn skips_an_invalid_registration() {
    let fixture = ConsulFixture::start(Mode::Endpoint, 0, &[]);
    fixture.catalog("node-a", "not-an-ip.example.com", 9091, "passing");
    fixture.catalog("node-a", "10.0.0.1", 0, "passing");
    fixture.catalog("node-a", "10.0.0.1", 9091, "passing");
    fixture.envoy.wait_members(&["10.0.0.1:9091"]).unwrap();
    fixture.wait_log(0, "skipped: not-an-ip.example.com_9091 on node-a: address: found");
    fixture.catalog("node-a", "10.0.0.2", 9091, "passing");
    fixture.envoy.wait_members(&["10.0.0.1:9091", "10.0.0.2:9091"]).unwrap();
}
