//! A member fails and comes back.

use pushring_harness::Mode;

use pushring_harness::consul_fixture::{ConsulFixture, paths};
use pushring_harness::load::Load;

#[test]
fn a_member_fails_and_comes_back_with_its_own_groups() {
    let mut fixture = ConsulFixture::start(Mode::Cluster, 3, &[]);
    let paths = paths(60);
    let before = fixture.owners(&paths);
    let lost = fixture.gateways[0].address;

    let load = Load::start(fixture.envoy.push, 2);
    fixture.gateways[0].process.kill();
    fixture.wait_ring(&fixture.addresses()[1..]);
    let seen = load.stop();
    // In cluster mode Envoy answers 503 until Consul marks it critical, and only for its own groups.
    println!("cluster mode: {} of {} pushes failed until Consul knew", seen.failed.len(), seen.pushes);
    assert!(!seen.failed.is_empty(), "its pushes cannot have succeeded in {} pushes", seen.pushes);
    assert!(seen.failed.iter().all(|(_, answer)| answer.starts_with("503 ")), "{:?}", seen.failed);
    let load = Load::start(fixture.envoy.push, 2);
    let client = fixture.envoy.client().unwrap();
    for (path, owner) in paths.iter().zip(&before) {
        let now = fixture.owner(path);
        assert!(now != lost && (*owner == lost || now == *owner), "{path}: {owner} before, {now} now");
        assert_eq!(client.put(path, "x 1\n").unwrap().status, 200);
    }

    fixture.restart_gateway(0);
    fixture.wait_ring(&fixture.addresses());
    let seen = load.stop();
    seen.assert_none_failed();
    assert_eq!(fixture.owners(&paths), before);
}
