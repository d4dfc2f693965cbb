//! Who is which member, when Consul says odd things.

use std::net::SocketAddr;

use pushring_harness::{Consul, Mode, Pushgateway, poll_until};
use serde_json::json;

use crate::world::World;

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
        let world = World::start(mode, &[]);
        let mut gateways: Vec<Pushgateway> = (0..3).map(|_| world.gateway()).collect();
        let names = ["pushgateway-0", "pushgateway-1", "pushgateway-2"];
        for (name, gateway) in names.iter().zip(&gateways) {
            register_named(&world.consul, name, gateway.address);
        }
        world.envoy.wait_members(&names).unwrap();
        let before = owners(&world);

        gateways[1] = world.gateway();
        register_named(&world.consul, names[1], gateways[1].address);
        let client = world.envoy.client().unwrap();
        let moved = before.iter().position(|owner| owner == names[1]).unwrap();
        poll_until("a push to reach the new address", || {
            let status = client.put(&group(moved), "x 1\n").ok()?.status;
            (status == 200 && !gateways[1].groups().ok()?.is_empty()).then_some(())
        })
        .unwrap();
        world.envoy.wait_members(&names).unwrap();
        assert_eq!(owners(&world), before, "{mode}");
    }
}

fn group(number: usize) -> String {
    format!("/metrics/job/job{number}/instance/x")
}

/// Names of the owners of 200 groups.
fn owners(world: &World) -> Vec<String> {
    let client = world.envoy.client().unwrap();
    let owner = |number| {
        let answer = client.send("GET", &group(number), &[("accept", "application/json")], "").unwrap();
        answer.json().unwrap()["owner"]["name"].as_str().unwrap().to_owned()
    };
    (0..200).map(owner).collect()
}

#[test]
fn one_address_on_two_nodes_is_one_member_as_long_as_one_passes() {
    let world = World::start(Mode::Endpoint, &[]);
    let member = SocketAddr::from(([10, 0, 0, 1], 9091));
    let other = SocketAddr::from(([10, 0, 0, 2], 9091));
    world.catalog("node-a", "10.0.0.1", 9091, "passing");
    world.catalog("node-b", "10.0.0.1", 9091, "critical");
    world.wait_members(&[member]);
    // The other node passes, this one does not: still the same member. The further member shows that both were seen.
    world.catalog("node-b", "10.0.0.1", 9091, "passing");
    world.catalog("node-a", "10.0.0.1", 9091, "critical");
    world.catalog("node-a", "10.0.0.2", 9091, "passing");
    world.wait_members(&[member, other]);
    world.catalog("node-b", "10.0.0.1", 9091, "critical");
    world.wait_members(&[other]);
}

#[test]
fn weights_beyond_the_ring_and_a_service_without_a_check() {
    let world = World::start(Mode::Cluster, &[]);
    for (host, weight) in [("10.0.0.1", 65535), ("10.0.0.2", 101), ("10.0.0.3", 7)] {
        let service = json!({
            "Name": "pushgateway", "ID": host, "Address": host, "Port": 9091,
            "Weights": {"Request": weight, "Warning": 1},
        });
        world.consul.put("/v1/agent/service/register", &service).unwrap();
    }
    world.envoy.wait_members(&["10.0.0.1:9091", "10.0.0.2:9091", "10.0.0.3:9091"]).unwrap();
    let weights: Vec<u64> = world.members().into_iter().map(|(_, weight)| weight).collect();
    assert_eq!(weights, [100, 100, 7]);
}

/// A registration that the filter would refuse leaves the others alone, and is named in the log.
#[test]
fn an_odd_registration_does_not_stop_the_next_change() {
    let world = World::start(Mode::Endpoint, &[]);
    world.catalog("node-a", "not-an-ip.example.com", 9091, "passing");
    world.catalog("node-a", "10.0.0.1", 0, "passing");
    world.catalog("node-a", "10.0.0.1", 9091, "passing");
    world.envoy.wait_members(&["10.0.0.1:9091"]).unwrap();
    world.wait_log(0, "skipped: not-an-ip.example.com_9091 on node-a: address: found");
    world.catalog("node-a", "10.0.0.2", 9091, "passing");
    world.envoy.wait_members(&["10.0.0.1:9091", "10.0.0.2:9091"]).unwrap();
}
