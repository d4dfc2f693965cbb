//! Time stamps of two gateways are compared after correcting for their clocks, with a margin.

use pushring_harness::Shift;

use crate::fixture::{DrainFixture, has, push, within_a_second};

const PATH: &str = "/metrics/job/j";

/// `m 1` on the source and `m 2` on its owner, pushed within a second and shown with these shifts.
fn world(source: Shift, owner: Shift) -> DrainFixture {
    let mut world = DrainFixture::start(1, &[]);
    within_a_second(|| {
        push(&world.source, "PUT", PATH, "m 1\n");
        push(&world.owners[0], "PUT", PATH, "m 2\n");
    });
    let (source_at, owner_at) = (world.source.address, world.owners[0].address);
    world.proxy(source_at, source, |_| {});
    world.proxy(owner_at, owner, |_| {});
    world
}

fn value(world: &DrainFixture) -> u32 {
    (1..=2).find(|value| has(&world.owners[0], &format!("m{{instance=\"\",job=\"j\"}} {value}"))).unwrap()
}

#[test]
fn a_source_whose_clock_is_behind_is_still_newer() {
    for clock in [-300, -3600, 300] {
        let world = world(Shift::clock(clock), Shift::age(60));
        world.drain_all();
        assert_eq!(value(&world), 1, "{clock}");
    }
}

#[test]
fn an_owner_whose_clock_is_behind_is_still_newer() {
    for clock in [-300, -3600, 300] {
        let world = world(Shift::age(60), Shift::clock(clock));
        world.drain_all();
        assert_eq!(value(&world), 2, "{clock}");
    }
}

#[test]
fn within_the_margin_nothing_is_certain_whatever_the_clocks() {
    for clock in [0, -300, 300] {
        let world = world(Shift::clock(clock), Shift::default());
        let reason = world.kept();
        assert!(reason.contains("within 2 s"), "{reason}");
        assert_eq!(value(&world), 2, "{clock}");
    }
}

#[test]
fn what_an_owner_seems_to_have_been_pushed_in_its_future_is_not_newer() {
    // Its clock was a minute ahead when the push came, and was set right since.
    let world = world(Shift::default(), Shift::age(-60));
    let reason = world.kept();
    assert!(reason.contains("in the future of its gateway"), "{reason}");
    assert!(has(&world.source, "m{instance=\"\",job=\"j\"} 1"), "the only copy of it");
}
