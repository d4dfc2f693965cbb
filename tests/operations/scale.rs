//! Scaling out, and both ways of scaling in.

use pushring_harness::Mode;

use pushring_harness::consul_fixture::{ConsulFixture, job, paths};
use pushring_harness::load::Load;

#[test]
fn scale_out_moves_groups_to_the_new_member_only() {
    let mut fixture = ConsulFixture::start(Mode::Cluster, 3, &[]);
    let paths = paths(120);
    let client = fixture.envoy.client().unwrap();
    let before = fixture.owners(&paths);
    for path in &paths {
        assert_eq!(client.put(path, "x 1\n").unwrap().status, 200);
    }

    let load = Load::start(fixture.envoy.push, 2);
    let new = fixture.add_gateway();
    fixture.register(&[new]);
    fixture.wait_ring(&fixture.addresses());
    let seen = load.stop();
    seen.assert_none_failed();

    let after = fixture.owners(&paths);
    let moved: Vec<_> = (0..paths.len()).filter(|&index| after[index] != before[index]).collect();
    assert!((10..60).contains(&moved.len()), "of 120 groups {} moved, about 30 are due", moved.len());
    for &index in &moved {
        let path = &paths[index];
        assert_eq!(after[index], new, "{path}");
        // DELETE removes the group from the new owner and from the former one, which is the first successor now.
        assert_eq!(client.put(path, "x 2\n").unwrap().status, 200);
        assert!(fixture.holds(new, job(path)) && fixture.holds(before[index], job(path)), "{path}");
        assert_eq!(client.delete(path).unwrap().status, 202);
        for address in [new, before[index]] {
            pushring_harness::poll_until(&format!("{address} to drop {path}"), || {
                (!fixture.holds(address, job(path))).then_some(())
            })
            .unwrap();
        }
    }
}

#[test]
fn scale_in_by_deregistering_loses_nothing() {
    for mode in Mode::ROUTED {
        let fixture = ConsulFixture::start(mode, 3, &[]);
        let paths = paths(60);
        let before = fixture.owners(&paths);
        let gone = fixture.gateways[0].address;
        let load = Load::start(fixture.envoy.push, 2);
        fixture.deregister(gone);
        fixture.wait_ring(&fixture.addresses()[1..]);
        let seen = load.stop();
        seen.assert_none_failed();
        assert_only_groups_of(gone, &before, &fixture.owners(&paths));
    }
}

#[test]
fn scale_in_by_stopping_fails_no_push_in_endpoint_mode() {
    let mut fixture = ConsulFixture::start(Mode::Endpoint, 3, &[]);
    let paths = paths(60);
    let before = fixture.owners(&paths);
    let gone = fixture.gateways[0].address;
    let load = Load::start(fixture.envoy.push, 2);
    fixture.gateways[0].process.kill();
    fixture.wait_ring(&fixture.addresses()[1..]);
    let seen = load.stop();
    seen.assert_none_failed();
    assert_only_groups_of(gone, &before, &fixture.owners(&paths));
}

fn assert_only_groups_of<T: PartialEq + std::fmt::Debug>(gone: T, before: &[T], after: &[T]) {
    for (before, after) in before.iter().zip(after) {
        assert_ne!(*after, gone);
        assert!(*before == gone || before == after, "a group of {before:?} moved to {after:?}");
    }
}
