//! Consul is unreachable; all gateways are critical.

use pushring_harness::{Mode, poll_until};

use pushring_harness::consul_fixture::{ConsulFixture, paths};
use pushring_harness::load::Load;

#[test]
fn keeps_the_last_ring_while_consul_is_unreachable() {
    let mut fixture = ConsulFixture::start(Mode::Endpoint, 3, &[]);
    let digest = fixture.envoy.status().unwrap()["digest"].clone();
    let load = Load::start(fixture.envoy.push, 2);
    fixture.consul.process().kill();
    fixture.wait_log(0, "[ERR]");
    // Envoy's ring keeps a member that fails now; in endpoint mode its pushes go to the next member.
    fixture.gateways[0].process.kill();
    let client = fixture.envoy.client().unwrap();
    for path in paths(60) {
        assert_eq!(client.put(&path, "x 1\n").unwrap().status, 200, "{path}");
    }
    let seen = load.stop();
    seen.assert_none_failed();
    assert_eq!(fixture.envoy.status().unwrap()["digest"], digest);
}

#[test]
fn keeps_the_last_ring_when_everything_is_critical() {
    let mut fixture = ConsulFixture::start(Mode::Cluster, 3, &[]);
    let refused = "found 0 members, allowed at least 2";
    let count = |fixture: &ConsulFixture| fixture.consul_template.process.log().matches(refused).count();
    let before = count(&fixture);
    for gateway in &mut fixture.gateways {
        gateway.process.kill();
    }
    poll_until("a ring without members to be refused", || (count(&fixture) > before).then_some(())).unwrap();
    // They became critical one after another, so the last ring may be smaller than the first. It has two members at least.
    let members = fixture.envoy.status().unwrap()["members"].as_array().unwrap().len();
    assert!(members >= 2, "{members} members");
    // Two passing members of three registered ones are enough.
    fixture.restart_gateway(1);
    fixture.restart_gateway(2);
    fixture.wait_ring(&fixture.addresses()[1..]);
    let client = fixture.envoy.client().unwrap();
    for path in paths(20) {
        assert_eq!(client.put(&path, "x 1\n").unwrap().status, 200, "{path}");
    }
}
