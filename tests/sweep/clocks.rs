//! Clocks that are minutes apart.

use std::sync::{Arc, OnceLock};

use pushring_harness::{DelayingProxy, GatewayFixture, Shift};
use serde_json::json;

use crate::report::{doubled, misplaced, sweep};

fn clock(seconds: i64) -> Shift {
    Shift::clock(seconds)
}

/// A group that was pushed to its owner first and to the second gateway afterwards.
fn newer_copy() -> GatewayFixture {
    let world = GatewayFixture::start(2);
    let path = world.path_of(0, 0);
    world.put(0, &path, "a 1\n");
    world.put(1, &path, "a 2\n");
    world
}

#[test]
fn an_owner_whose_clock_is_ahead_does_not_seem_newer() {
    let mut world = newer_copy();
    world.proxy(0, clock(600), |_| ());
    assert_eq!((sweep(&world, &[]).code, world.counts()), (1, vec![1, 1]));
}

#[test]
fn a_copy_whose_clock_is_behind_does_not_seem_older() {
    let mut world = newer_copy();
    world.proxy(1, clock(-600), |_| ());
    assert_eq!((sweep(&world, &[]).code, world.counts()), (1, vec![1, 1]));
}

#[test]
fn what_is_older_goes_whatever_the_clocks_say() {
    for (owner, copy) in [(600, -600), (-600, 600), (7200, 0), (0, 7200)] {
        let (mut world, _) = doubled(2);
        world.proxy(0, clock(owner), |_| ());
        world.proxy(1, Shift { clock: copy, age: 60, ..Shift::default() }, |_| ());
        assert_eq!((sweep(&world, &[]).code, world.counts()), (0, vec![1, 0]), "{owner} {copy}");
    }
}

#[test]
fn the_age_of_an_orphan_is_told_by_its_own_gateway() {
    let mut world = GatewayFixture::start(2);
    let path = world.path_of(0, 0);
    world.put(1, &path, "a 1\n");
    world.proxy(1, clock(-600), |_| ());
    assert_eq!((sweep(&world, &["--orphans-after", "5m"]).code, world.counts()), (1, vec![0, 1]));
    world.proxy(1, Shift { clock: 600, age: 600, ..Shift::default() }, |_| ());
    assert_eq!((sweep(&world, &["--orphans-after", "5m"]).code, world.counts()), (0, vec![0, 0]));
}

/// A gateway whose clock is set back right after its date was told; ours leaping ahead looks the same.
fn set_back(world: &mut GatewayFixture, gateway: usize) {
    let itself: Arc<OnceLock<DelayingProxy>> = Arc::default();
    let tap = DelayingProxy::start(world.gateways[gateway].address, clock(600), {
        let itself = Arc::clone(&itself);
        move |request| {
            if request.path == "/api/v1/metrics" {
                itself.get().unwrap().set(clock(0));
            }
        }
    });
    let tap = itself.get_or_init(|| tap.unwrap());
    world.addresses[gateway] = tap.address;
    world.configure(json!({}));
}

#[test]
fn a_clock_that_is_set_while_it_is_read_makes_no_copy_older() {
    let mut world = newer_copy();
    set_back(&mut world, 1);
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 1]));
    assert!(misplaced(&output)["g1"].1.contains("was set meanwhile"), "{output:?}");
}

#[test]
fn a_clock_that_is_set_while_it_is_read_makes_no_orphan() {
    let mut world = GatewayFixture::start(2);
    let path = world.path_of(0, 0);
    world.put(1, &path, "a 1\n");
    set_back(&mut world, 1);
    assert_eq!((sweep(&world, &["--orphans-after", "5m"]).code, world.counts()), (1, vec![0, 1]));
}

#[test]
fn what_was_pushed_while_the_owners_clock_was_ahead_is_not_newer() {
    let mut world = newer_copy();
    world.proxy(0, Shift::age(-600), |_| ());
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 1]));
    assert!(misplaced(&output)["g1"].1.contains("in the future"), "{output:?}");
}
