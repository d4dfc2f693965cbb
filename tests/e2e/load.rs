//! No push is lost when members change: 100 changes of the ring under load, in endpoint mode.

use std::collections::BTreeSet;

use pushring_harness::load::Load;
use pushring_harness::{Envoy, Member, Mode, envoy_files};

use pushring_harness::EnvoyFixture;

const CHANGES: usize = 100;

#[test]
fn no_push_fails_over_100_membership_changes() {
    let mut fleet = EnvoyFixture::start(Mode::Endpoint, 5);
    fleet.envoy.process.kill();
    fleet.envoy = Envoy::start(&fleet.layout, 2).unwrap();
    let load = Load::start(fleet.envoy.push, 3);
    change_members(&fleet);
    let seen = load.stop();
    seen.assert_none_failed();
    assert!(seen.pushes > CHANGES, "{} pushes prove nothing", seen.pushes);
    assert_eq!(fleet.envoy.stat("cluster.pushgateway.upstream_rq_5xx").unwrap().unwrap_or(0), 0);

    // All gateways are in the ring again, so each group goes to its owner.
    let before = fleet.requests();
    let client = fleet.envoy.client().unwrap();
    let mut expected = before;
    for number in 0..50 {
        let path = format!("/metrics/job/after{number}");
        assert_eq!(client.put(&path, "x 1\n").unwrap().status, 200);
        expected[fleet.owner(&path)] += 1;
    }
    assert_eq!(fleet.requests(), expected);
}

/// Each change publishes another set of two to four gateways as in production: Envoy knows a member for a moment
/// longer than the ring, for pushes that the former ring routed.
fn change_members(fleet: &EnvoyFixture) {
    let all: Vec<Member> = fleet.gateways.iter().map(|gateway| gateway.address.into()).collect();
    for change in 1..=CHANGES {
        let size = if change == CHANGES { all.len() } else { 2 + change % 3 };
        let chosen: BTreeSet<usize> = (0..size).map(|index| (change + index) % all.len()).collect();
        let members: Vec<Member> = chosen.into_iter().map(|index| all[index].clone()).collect();
        let config = envoy_files::config(Mode::Endpoint, &members).unwrap();
        fleet.layout.publish(&config, Some(fleet.envoy.admin)).unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        fleet.envoy.wait_members(&names).unwrap();
    }
}
