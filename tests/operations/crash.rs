//! Something is killed as by a crash, under load.

use std::fs;

use pushring_harness::{Envoy, Mode, poll_until};

use crate::load::Load;
use crate::stack::{Stack, paths};

/// In cluster mode its pushes fail until Consul calls it critical: see `failure`.
#[test]
fn a_killed_gateway_fails_no_push_in_endpoint_mode() {
    let mut stack = Stack::start(Mode::Endpoint, 3, &[]);
    let load = Load::start(stack.envoy.push);
    stack.gateways[0].process.kill();
    stack.wait_ring(&stack.addresses()[1..]);
    let seen = load.stop();
    assert!(seen.failed.is_empty(), "{} of {}: {:?}", seen.failed.len(), seen.pushes, seen.failed);
}

/// A cold start with the files that are there; what changed while it was away is in them.
#[test]
fn an_envoy_that_was_killed_comes_back_with_the_ring_of_the_moment() {
    for mode in Mode::ROUTED {
        let mut stack = Stack::start(mode, 3, &[]);
        let load = Load::start(stack.envoy.push);
        stack.envoy.process.kill();
        assert!(!load.stop().failed.is_empty(), "there is no Envoy to answer");

        let gone = stack.addresses()[0];
        stack.deregister(gone);
        let ring = stack.layout.live().join("ring.yaml");
        poll_until("the ring without it", || {
            (!fs::read_to_string(&ring).ok()?.contains(&gone.to_string())).then_some(())
        })
        .unwrap();
        stack.envoy = Envoy::start(&stack.layout, 2).unwrap();
        stack.wait_ring(&stack.addresses()[1..]);
        let load = Load::start(stack.envoy.push);
        for path in paths(20) {
            assert_ne!(stack.owner(&path), gone);
        }
        // And it follows the next change.
        stack.register(&[gone]);
        stack.wait_ring(&stack.addresses());
        let seen = load.stop();
        assert!(seen.failed.is_empty(), "{mode}: {:?}", seen.failed);
    }
}
