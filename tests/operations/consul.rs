//! Consul is away; everything is critical.

use pushring_harness::{Mode, poll_until};

use crate::load::Load;
use crate::stack::{Stack, paths};

#[test]
fn the_last_ring_stays_while_consul_is_away() {
    let mut stack = Stack::start(Mode::Endpoint, 3, &[]);
    let digest = stack.envoy.status().unwrap()["digest"].clone();
    let load = Load::start(stack.envoy.push);
    stack.consul.process().kill();
    stack.wait_log("[ERR]");
    // A member that fails meanwhile is not noticed; in this mode its pushes go on to the next one.
    stack.gateways[0].process.kill();
    let client = stack.envoy.client().unwrap();
    for path in paths(60) {
        assert_eq!(client.put(&path, "x 1\n").unwrap().status, 200, "{path}");
    }
    let seen = load.stop();
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
    assert_eq!(stack.envoy.status().unwrap()["digest"], digest);
}

#[test]
fn the_last_ring_stays_when_everything_is_critical() {
    let mut stack = Stack::start(Mode::Cluster, 3, &[]);
    let refused = "found 0 members, allowed at least 1";
    let count = |stack: &Stack| stack.template.process.log().matches(refused).count();
    let before = count(&stack);
    for gateway in &mut stack.gateways {
        gateway.process.kill();
    }
    poll_until("a ring without members to be refused", || (count(&stack) > before).then_some(())).unwrap();
    // They turned critical one after another, so the last ring may be smaller than the first; it is not empty.
    let members = stack.envoy.status().unwrap()["members"].as_array().unwrap().len();
    assert!(members >= 1, "{members} members");
    // One is enough of three registered.
    stack.restart_gateway(2);
    let back = stack.gateways[2].address;
    stack.wait_ring(&[back]);
    let client = stack.envoy.client().unwrap();
    for path in paths(20) {
        assert_eq!(client.put(&path, "x 1\n").unwrap().status, 200, "{path}");
    }
}
