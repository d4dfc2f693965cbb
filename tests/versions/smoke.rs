//! The main promises once on each version: a push reaches its owner, a lookup names it, a change of the ring takes effect,
//! an empty ring gets 503, a DELETE reaches the former owner as well, a push its replica, failures show in the access log and
//! name the gateway.

use std::collections::BTreeSet;

use pushring_harness::http::{Client, Response};
use pushring_harness::{EnvoyFixture, Mode, envoy_files, poll_until};

use crate::list::envoys;

const PUSHES: usize = 9;

#[test]
fn every_version_serves_every_mode() {
    for (version, binary) in envoys() {
        for mode in Mode::ALL {
            let what = format!("Envoy {version}, {mode}");
            let mut fleet = EnvoyFixture::start_on(&binary, mode, 3);
            let client = fleet.envoy.client().unwrap();
            pushes_and_lookups(&fleet, &client, &what);
            delete(&fleet, &client, &what);
            replica(&mut fleet, &client, &what);
            change_members(&mut fleet, &[0, 2]);
            pushes_and_lookups(&fleet, &client, &what);
            change_members(&mut fleet, &[]);
            let answer = client.put(&path(0), "x 1\n").unwrap();
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{what}");
            assert!(answer.text().contains("no pushgateway is known"), "{what}: {}", answer.text());
            // Envoy answers gRPC in another way.
            let grpc =
                client.send("PUT", &path(0), &[("content-type", "application/grpc")], "x 1\n").unwrap();
            assert_eq!((grpc.status, grpc.text()), (503, answer.text()), "{what}");
            poll_until(&format!("{what}: a line of the access log"), || {
                fleet.envoy.process.log().contains("\"pushring_no_members\"").then_some(())
            })
            .unwrap();
            a_failure_names_the_gateway(&mut fleet, &client, &what);
        }
    }
}

fn path(number: usize) -> String {
    format!("/metrics/job/backup/instance/db{number}")
}

/// Checks where each push arrives, or leads in redirect mode, against the router.
fn pushes_and_lookups(fleet: &EnvoyFixture, client: &Client, what: &str) {
    for number in 0..PUSHES {
        let path = path(number);
        let owner = fleet.owner(&path);
        let address = fleet.gateways[owner].address;
        let before = fleet.requests();
        let answer = client.put(&path, "x 1\n").unwrap();
        assert_pushed(fleet, &answer, owner, &before, &path, what);
        let asked = client.send("GET", &path, &[("accept", "application/json")], "").unwrap();
        assert_eq!(asked.json().unwrap()["owner"]["address"], address.to_string(), "{what} {path}");
    }
}

fn assert_pushed(
    fleet: &EnvoyFixture,
    answer: &Response,
    owner: usize,
    before: &[u64],
    path: &str,
    what: &str,
) {
    let address = fleet.gateways[owner].address;
    if fleet.layout.mode() == Mode::Redirect {
        let location = format!("http://{address}{path}");
        assert_eq!((answer.status, answer.header("location")), (307, Some(&*location)), "{what}");
        return;
    }
    assert_eq!(answer.status, 200, "{what} {path}: {}", answer.text());
    let mut expected = before.to_vec();
    expected[owner] += 1;
    assert_eq!(fleet.requests(), expected, "{what} {path}");
}

/// Deletes a group that every gateway has; all but the owner and its first successor keep it.
fn delete(fleet: &EnvoyFixture, client: &Client, what: &str) {
    let path = "/metrics/job/deleted";
    if fleet.layout.mode() == Mode::Redirect {
        assert_eq!(client.delete(path).unwrap().status, 307, "{what}");
        return;
    }
    for gateway in &fleet.gateways {
        gateway.client().unwrap().put(path, "x 1\n").unwrap();
    }
    assert_eq!(client.delete(path).unwrap().status, 202, "{what}");
    let rest: BTreeSet<usize> = fleet.clockwise(path)[2..].iter().copied().collect();
    // Envoy sends the copy in parallel, so it may arrive after the answer.
    poll_until(&format!("{what}: the deleted group to be left on {rest:?} only"), || {
        let holders = fleet.holders();
        (holders.iter().find(|(group, _)| group["job"] == "deleted")?.1 == &rest).then_some(())
    })
    .unwrap();
}

/// Pushes with `mirror: all`; the owner and its first successor store the group.
fn replica(fleet: &mut EnvoyFixture, client: &Client, what: &str) {
    if fleet.layout.mode() == Mode::Redirect {
        return;
    }
    fleet.config["mirror"] = "all".into();
    fleet.layout.write_ring(&fleet.config.to_string()).unwrap();
    poll_until(&format!("{what}: the mirror"), || {
        (fleet.envoy.status().unwrap()["mirror"] == "all").then_some(())
    })
    .unwrap();
    let path = "/metrics/job/mirrored";
    assert_eq!(client.put(path, "x 1\n").unwrap().status, 200, "{what}");
    let both: BTreeSet<usize> = fleet.clockwise(path)[..2].iter().copied().collect();
    poll_until(&format!("{what}: the group on {both:?}"), || {
        let holders = fleet.holders();
        (holders.iter().find(|(group, _)| group["job"] == "mirrored")?.1 == &both).then_some(())
    })
    .unwrap();
}

fn a_failure_names_the_gateway(fleet: &mut EnvoyFixture, client: &Client, what: &str) {
    if fleet.layout.mode() != Mode::Redirect {
        change_members(fleet, &[1]);
        fleet.gateways[1].process.kill();
        let answer = client.put(&path(0), "x 1\n").unwrap();
        let named = answer.text().contains(&fleet.gateways[1].address.to_string());
        assert!(answer.status == 503 && named, "{what}: {} {}", answer.status, answer.text());
    }
}

/// Publishes a ring of these gateways and waits until Envoy has it.
fn change_members(fleet: &mut EnvoyFixture, gateways: &[usize]) {
    let members: Vec<_> = gateways.iter().map(|&index| fleet.gateways[index].address.into()).collect();
    let mut config = envoy_files::config(fleet.layout.mode(), &members).unwrap();
    config["min_members"] = 0.into();
    fleet.layout.write_ring(&config.to_string()).unwrap();
    let names: Vec<&str> = members.iter().map(|member: &envoy_files::Member| &*member.name).collect();
    fleet.envoy.wait_members(&names).unwrap();
    fleet.config = config;
}
