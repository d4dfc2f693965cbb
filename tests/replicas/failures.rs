//! The client gets the answer of the owner, whatever the replica does.

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode, poll_until};

use crate::{fleet, set_mirror, wait_holders, wait_requests};

const PUSH: &str = "/metrics/job/a";

/// Pushes in every way, and checks that the owner has answered.
fn push(fleet: &EnvoyFixture, client: &Client, owner: usize) {
    let mode = fleet.layout.mode();
    for (method, status) in [("PUT", 200), ("POST", 200), ("DELETE", 202), ("PUT", 200)] {
        let answer = client.send(method, PUSH, &[], "x 1\n").unwrap();
        assert_eq!(answer.status, status, "{mode} {method}: {}", answer.text());
    }
    assert!(fleet.gateways[owner].metrics().unwrap().contains("x{instance=\"\",job=\"a\"} 1"), "{mode}");
}

/// The replica first accepts the copy and never answers. If a push waited for it, the client would give up, because the route
/// has a longer timeout. Then the replica is dead.
#[test]
fn a_silent_or_dead_replica_neither_delays_nor_fails_a_push() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::edited(mode, 3, &[(" timeout: 60s", " timeout: 3600s")]);
        set_mirror(&mut fleet, "all");
        let ring = fleet.clockwise(PUSH);
        let client = fleet.envoy.client().unwrap();
        fleet.gateways[ring[1]].process.halt().unwrap();
        push(&fleet, &client, ring[0]);
        fleet.gateways[ring[1]].process.kill();
        push(&fleet, &client, ring[0]);
        assert_eq!(fleet.requests()[ring[2]], 0, "{mode}: a copy goes to no other gateway");
    }
}

/// The replica has the push in both modes. In endpoint mode it also answers it in place of the owner.
#[test]
fn the_replica_has_a_push_whose_owner_is_dead() {
    for mode in Mode::ROUTED {
        let mut fleet = fleet(mode, 3, "all");
        let ring = fleet.clockwise(PUSH);
        let [owner, replica, other] = ring[..] else { panic!("three members") };
        fleet.gateways[owner].process.kill();
        let client = fleet.envoy.client().unwrap();
        let accepted = if mode == Mode::Cluster { 503 } else { 200 };
        // Text is retried by one route, everything else by another.
        for headers in [&[][..], &[("content-encoding", "identity")]] {
            let answer = client.send("PUT", PUSH, headers, "x 1\n").unwrap();
            assert_eq!(answer.status, accepted, "{mode}: {}", answer.text());
        }
        let found = || fleet.gateways[replica].groups().unwrap().len();
        poll_until(&format!("{mode}: the group on the replica"), || (found() == 1).then_some(())).unwrap();
        // A DELETE is answered by the owner alone.
        let answer = client.delete(PUSH).unwrap();
        assert_eq!(answer.status, 503, "{mode}: {}", answer.text());
        poll_until(&format!("{mode}: no group"), || (found() == 0).then_some(())).unwrap();
        assert_eq!(fleet.requests()[other], 0, "{mode}");
    }
}

/// A replica that rejects the push, here because it has the family with another type, does not change the answer.
#[test]
fn the_answer_is_that_of_the_owner() {
    for mode in Mode::ROUTED {
        let fleet = fleet(mode, 3, "all");
        let ring = fleet.clockwise(PUSH);
        let direct = fleet.gateways[ring[1]].client().unwrap();
        assert_eq!(direct.put("/metrics/job/b", "# TYPE x counter\nx 1\n").unwrap().status, 200);
        let client = fleet.envoy.client().unwrap();
        assert_eq!(client.put(PUSH, "# TYPE x gauge\nx 1\n").unwrap().status, 200, "{mode}");
        let rejected = client.put(PUSH, "x one\n").unwrap();
        assert_eq!(rejected.status, 400, "{mode}: {}", rejected.text());
        let mut requests = vec![0; 3];
        (requests[ring[0]], requests[ring[1]]) = (2, 2);
        wait_requests(&fleet, &requests);
        wait_holders(&fleet, "b", &ring[1..2]);
    }
}
