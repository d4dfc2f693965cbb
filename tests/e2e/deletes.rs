//! A group that moved when a member joined does not come back, because DELETE also reaches its former owner.

use std::collections::BTreeSet;

use pushring_harness::{Mode, poll_until};

use pushring_harness::EnvoyFixture;

#[test]
fn a_delete_reaches_the_owner_and_its_first_successor_only() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 4);
        let client = fleet.envoy.client().unwrap();
        for number in 0..8 {
            let path = format!("/metrics/job/j{number}");
            for gateway in &fleet.gateways {
                gateway.client().unwrap().put(&path, "x 1\n").unwrap();
            }
            let answer = client.delete(&path).unwrap();
            assert_eq!(answer.status, 202, "{mode}: {}", answer.text());
        }
        // Envoy sends the copy in parallel, so it may arrive after the answer.
        for number in 0..8 {
            let ring = fleet.clockwise(&format!("/metrics/job/j{number}"));
            let rest: BTreeSet<usize> = ring[2..].iter().copied().collect();
            poll_until(&format!("{mode}: job j{number} to be left on {rest:?} only"), || {
                let holders = fleet.holders();
                let found = holders.iter().find(|(group, _)| group["job"] == format!("j{number}"));
                (found?.1 == &rest).then_some(())
            })
            .unwrap();
        }
    }
}

/// Each of the two gets one request for a DELETE, and no other method is copied.
#[test]
fn only_deletes_are_copied() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 3);
        let client = fleet.envoy.client().unwrap();
        let path = "/metrics/job/a";
        for method in ["PUT", "POST", "PATCH", "OPTIONS"] {
            client.send(method, path, &[], "x 1\n").unwrap();
        }
        let ring = fleet.clockwise(path);
        let mut expected = vec![0; 3];
        expected[ring[0]] = 4;
        assert_eq!(fleet.requests(), expected, "{mode}");
        client.delete(path).unwrap();
        expected[ring[0]] += 1;
        expected[ring[1]] += 1;
        poll_until(&format!("{mode}: requests {expected:?}"), || {
            (fleet.requests() == expected).then_some(())
        })
        .unwrap();
    }
}

/// A successor would answer 202, and the group would come back with its owner.
#[test]
fn a_delete_does_not_leave_for_a_successor() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::start(mode, 3);
        let client = fleet.envoy.client().unwrap();
        let path = "/metrics/job/a";
        let ring = fleet.clockwise(path);
        fleet.gateways[ring[0]].process.kill();
        for length in [&[][..], &[("content-length", "0")]] {
            let answer = client.send("DELETE", path, length, "").unwrap();
            assert_eq!(answer.status, 503, "{mode}: {}", answer.text());
        }
        // The copies go to the first successor only.
        poll_until(&format!("{mode}: two copies"), || (fleet.requests()[ring[1]] == 2).then_some(()))
            .unwrap();
        assert_eq!(fleet.requests()[ring[2]], 0, "{mode}");
        let pushed = client.put(path, "x 1\n").unwrap().status;
        assert_eq!(pushed, if mode == Mode::Cluster { 503 } else { 200 });
    }
}

#[test]
fn a_single_member_needs_no_copy() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 1);
        let client = fleet.envoy.client().unwrap();
        assert_eq!(client.put("/metrics/job/a", "x 1\n").unwrap().status, 200);
        assert_eq!(client.delete("/metrics/job/a").unwrap().status, 202);
        assert_eq!(fleet.gateways[0].groups().unwrap(), []);
        assert_eq!(fleet.requests(), [2], "{mode}");
    }
}
