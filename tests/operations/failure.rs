//! A member fails, and comes back.

use pushring_harness::Mode;

use crate::load::Load;
use crate::stack::{Stack, paths};

#[test]
fn a_member_fails_and_comes_back_with_its_own_groups() {
    let mut stack = Stack::start(Mode::Cluster, 3, &[]);
    let paths = paths(60);
    let before = stack.owners(&paths);
    let lost = stack.gateways[0].address;

    let load = Load::start(stack.envoy.push);
    stack.gateways[0].process.kill();
    stack.wait_ring(&stack.addresses()[1..]);
    let seen = load.stop();
    // Cluster mode: 503 until Consul called it critical, and only for its own groups.
    println!("cluster mode: {} of {} pushes failed until Consul knew", seen.failed.len(), seen.pushes);
    assert!(!seen.failed.is_empty(), "its pushes cannot have succeeded in {} pushes", seen.pushes);
    assert!(seen.failed.iter().all(|(_, answer)| answer.starts_with("503 ")), "{:?}", seen.failed);
    let load = Load::start(stack.envoy.push);
    let client = stack.envoy.client().unwrap();
    for (path, owner) in paths.iter().zip(&before) {
        let now = stack.owner(path);
        assert!(now != lost && (*owner == lost || now == *owner), "{path}: {owner} before, {now} now");
        assert_eq!(client.put(path, "x 1\n").unwrap().status, 200);
    }

    stack.restart_gateway(0);
    stack.wait_ring(&stack.addresses());
    let seen = load.stop();
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
    assert_eq!(stack.owners(&paths), before);
}
