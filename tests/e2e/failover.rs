//! Endpoint mode: no push is lost when a member dies, and none reaches a gateway that the ring did not name.

use std::collections::BTreeSet;

use pushring_harness::{Member, Mode, envoy_files};

use pushring_harness::EnvoyFixture;

#[test]
fn the_next_push_after_a_kill_reaches_the_rings_next_member() {
    let mut fleet = EnvoyFixture::start(Mode::Endpoint, 4);
    let client = fleet.envoy.client().unwrap();
    let paths: Vec<String> = (0..40).map(|number| format!("/metrics/job/j{number}")).collect();
    // Envoy has an open connection to each member when it dies.
    for path in &paths {
        assert_eq!(client.put(path, "x 1\n").unwrap().status, 200);
    }
    for dead in [1, 2] {
        fleet.gateways[dead].process.kill();
        for path in &paths {
            let answer = client.put(path, "x 2\n").unwrap();
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        }
        let alive: Vec<usize> = (0..4).filter(|index| !(1..=dead).contains(index)).collect();
        for path in &paths {
            let holder = *fleet.clockwise(path).iter().find(|index| alive.contains(index)).unwrap();
            let job = path.trim_start_matches("/metrics/job/");
            let metrics = fleet.gateways[holder].metrics().unwrap();
            assert!(metrics.contains(&format!("x{{instance=\"\",job=\"{job}\"}} 2\n")), "{path} on {holder}");
        }
    }
}

/// The retry needs the body that Envoy has sent already.
#[test]
fn a_push_of_5_mb_survives_its_owner() {
    let mut fleet = EnvoyFixture::start(Mode::Endpoint, 3);
    let path = "/metrics/job/large";
    let ring = fleet.clockwise(path);
    let body: String = (0..100_000).map(|line| format!("large{{line=\"{line:0>40}\"}} 1\n")).collect();
    assert!(body.len() > 5_000_000);
    fleet.gateways[ring[0]].process.kill();
    for _ in 0..3 {
        let answer = fleet.envoy.client().unwrap().put(path, body.clone()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let metrics = fleet.gateways[ring[1]].metrics().unwrap();
    assert_eq!(metrics.lines().filter(|line| line.starts_with("large{")).count(), 100_000);
}

/// If ring and endpoints differ for a moment, a push gets 503 or reaches its owner, never another gateway.
#[test]
fn an_unknown_address_never_leads_to_a_wrong_gateway() {
    let fleet = EnvoyFixture::start(Mode::Endpoint, 3);
    let client = fleet.envoy.client().unwrap();
    let stranger = Member { name: "127.0.0.1:1".into(), address: "127.0.0.1:1".into(), weight: 1 };
    let mut config = envoy_files::config(Mode::Endpoint, std::slice::from_ref(&stranger)).unwrap();
    fleet.layout.write_ring(&config.to_string()).unwrap();
    fleet.envoy.wait_members(&[&stranger.name]).unwrap();
    for number in 0..10 {
        assert_eq!(client.put(&format!("/metrics/job/j{number}"), "x 1\n").unwrap().status, 503);
    }
    assert_eq!(fleet.requests(), [0, 0, 0]);

    // If a successor is known, the first known one gets the push.
    let known = fleet.gateways[0].address;
    config = envoy_files::config(Mode::Endpoint, &[stranger.clone(), known.into()]).unwrap();
    fleet.layout.write_ring(&config.to_string()).unwrap();
    fleet.envoy.wait_members(&[&stranger.name, &known.to_string()]).unwrap();
    for number in 0..10 {
        assert_eq!(client.put(&format!("/metrics/job/j{number}"), "x 1\n").unwrap().status, 200);
    }
    assert_eq!(fleet.holders().into_values().collect::<BTreeSet<_>>(), BTreeSet::from([BTreeSet::from([0])]));
}
