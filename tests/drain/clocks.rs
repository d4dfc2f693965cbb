//! Time stamps of two gateways are compared after correcting for their clocks, with a margin.

use pushring_harness::Shift;

use crate::fixture::{DrainFixture, has, push, within_a_second};

const PATH: &str = "/metrics/job/j";

/// `m 1` on the source and `m 2` on its owner, pushed within a second and shown with these shifts.
fn fixture(source: Shift, owner: Shift) -> DrainFixture {
    let mut fixture = DrainFixture::start(1, &[]);
    within_a_second(|| {
        push(&fixture.source, "PUT", PATH, "m 1\n");
        push(&fixture.owners[0], "PUT", PATH, "m 2\n");
    });
    let (source_at, owner_at) = (fixture.source.address, fixture.owners[0].address);
    fixture.proxy(source_at, source, |_| {});
    fixture.proxy(owner_at, owner, |_| {});
    fixture
}

fn value(fixture: &DrainFixture) -> u32 {
    (1..=2).find(|value| has(&fixture.owners[0], &format!("m{{instance=\"\",job=\"j\"}} {value}"))).unwrap()
}

#[test]
fn corrects_the_clock_of_a_newer_source() {
    for clock in [-300, -3600, 300] {
        let fixture = fixture(Shift::clock(clock), Shift::age(60));
        fixture.drain_all();
        assert_eq!(value(&fixture), 1, "{clock}");
    }
}

#[test]
fn corrects_the_clock_of_a_newer_owner() {
    for clock in [-300, -3600, 300] {
        let fixture = fixture(Shift::age(60), Shift::clock(clock));
        fixture.drain_all();
        assert_eq!(value(&fixture), 2, "{clock}");
    }
}

#[test]
fn keeps_a_group_if_pushes_are_within_the_margin() {
    for clock in [0, -300, 300] {
        let fixture = fixture(Shift::clock(clock), Shift::default());
        assert_eq!(fixture.kept(), "not_newer");
        assert_eq!(value(&fixture), 2, "{clock}");
    }
}

#[test]
fn keeps_a_group_if_the_owners_push_is_in_the_future() {
    // Its clock was a minute ahead at the time of the push and is right now.
    let fixture = fixture(Shift::default(), Shift::age(-60));
    assert_eq!(fixture.kept(), "future_timestamp");
    assert!(has(&fixture.source, "m{instance=\"\",job=\"j\"} 1"), "the only copy of it");
}
