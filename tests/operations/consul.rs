//! Consul is away; everything is critical.

use pushring_harness::{Mode, poll_until};

use pushring_harness::consul_fixture::{ConsulFixture, paths};
use pushring_harness::load::Load;

#[test]
fn the_last_ring_stays_while_consul_is_away() {
    let mut fixture = ConsulFixture::start(Mode::Endpoint, 3, &[]);
    let digest = fixture.envoy.status().unwrap()["digest"].clone();
    let load = Load::start(fixture.envoy.push, 2);
    fixture.consul.process().kill();
    fixture.wait_log(0, "[ERR]");
    // A member that fails meanwhile is not noticed; in this mode its pushes go on to the next one.
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
fn the_last_ring_stays_when_everything_is_critical() {
    let mut fixture = ConsulFixture::start(Mode::Cluster, 3, &[]);
    let refused = "found 0 members, allowed at least 1";
    let count = |fixture: &ConsulFixture| fixture.consul_template.process.log().matches(refused).count();
    let before = count(&fixture);
    for gateway in &mut fixture.gateways {
        gateway.process.kill();
    }
    poll_until("a ring without members to be refused", || (count(&fixture) > before).then_some(())).unwrap();
    // They turned critical one after another, so the last ring may be smaller than the first; it is not empty.
    let members = fixture.envoy.status().unwrap()["members"].as_array().unwrap().len();
    assert!(members >= 1, "{members} members");
    // One is enough of three registered.
    fixture.restart_gateway(2);
    let back = fixture.gateways[2].address;
    fixture.wait_ring(&[back]);
    let client = fixture.envoy.client().unwrap();
    for path in paths(20) {
        assert_eq!(client.put(&path, "x 1\n").unwrap().status, 200, "{path}");
    }
}
