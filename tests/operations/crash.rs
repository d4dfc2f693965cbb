//! Processes killed under load.

use std::fs;

use pushring_harness::{Envoy, Mode, poll_until};

use pushring_harness::consul_fixture::{ConsulFixture, paths};
use pushring_harness::load::Load;

/// In cluster mode its pushes fail until Consul marks it critical: see `failure`.
#[test]
fn a_killed_gateway_fails_no_push_in_endpoint_mode() {
    let mut fixture = ConsulFixture::start(Mode::Endpoint, 3, &[]);
    let load = Load::start(fixture.envoy.push, 2);
    fixture.gateways[0].process.kill();
    fixture.wait_ring(&fixture.addresses()[1..]);
    let seen = load.stop();
    seen.assert_none_failed();
}

/// Envoy starts with the files as they are, including changes during its absence.
#[test]
fn a_killed_envoy_comes_back_with_the_current_ring() {
    for mode in Mode::ROUTED {
        let mut fixture = ConsulFixture::start(mode, 3, &[]);
        let load = Load::start(fixture.envoy.push, 2);
        fixture.envoy.process.kill();
        assert!(!load.stop().failed.is_empty(), "there is no Envoy to answer");

        let gone = fixture.addresses()[0];
        fixture.deregister(gone);
        let ring = fixture.layout.live().join("ring.yaml");
        poll_until("the ring without it", || {
            (!fs::read_to_string(&ring).ok()?.contains(&gone.to_string())).then_some(())
        })
        .unwrap();
        fixture.envoy = Envoy::start(&fixture.layout, 2).unwrap();
        fixture.wait_ring(&fixture.addresses()[1..]);
        let load = Load::start(fixture.envoy.push, 2);
        for path in paths(20) {
            assert_ne!(fixture.owner(&path), gone);
        }
        // Envoy also follows the next change.
        fixture.register(&[gone]);
        fixture.wait_ring(&fixture.addresses());
        let seen = load.stop();
        seen.assert_none_failed();
    }
}
