//! Families are compared one by one: the owner keeps what it has newer, gets what it lacks or has older.

use pushring_harness::Shift;
use serde_json::json;

use crate::fixture::{DrainFixture, exposed, has, push, send, within_a_second};

const PATH: &str = "/metrics/job/j/instance/i";

fn line(name: &str, value: u32) -> String {
    format!("{name}{{instance=\"i\",job=\"j\"}} {value}")
}

/// A world in which what lies on the source, or on its one owner, shows as pushed an hour ago.
fn aged(source: bool) -> DrainFixture {
    let mut world = DrainFixture::start(1, &[]);
    let old = if source { world.source.address } else { world.owners[0].address };
    world.proxy(old, Shift::age(3600), |_| {});
    world
}

fn counts(world: &DrainFixture, report: &serde_json::Value) -> serde_json::Value {
    report["owners"][world.address(&world.owners[0])].clone()
}

#[test]
fn the_owner_keeps_what_it_has_newer_and_gets_what_it_lacks() {
    let world = aged(true);
    push(&world.source, "POST", PATH, "a 1\nb 1\n");
    push(&world.source, "POST", PATH, "c 1\n");
    push(&world.owners[0], "POST", PATH, "b 2\nd 2\n");
    let report = world.drain_all();
    let owner = &world.owners[0];
    for (name, value) in [("a", 1), ("b", 2), ("c", 1), ("d", 2)] {
        assert!(has(owner, &line(name, value)), "{name}: {}", owner.metrics().unwrap());
    }
    assert_eq!(counts(&world, &report)["carried"], 1);
}

#[test]
fn what_the_owner_has_all_of_newer_is_only_deleted() {
    let world = aged(true);
    push(&world.source, "PUT", PATH, "a 1\nb 1\n");
    push(&world.owners[0], "PUT", PATH, "a 2\nb 2\n");
    let before = exposed(&world.owners[0]);
    let report = world.drain_all();
    assert_eq!(counts(&world, &report), json!({"carried": 0, "held": 1, "stubs": 0, "gone": 0, "kept": 0}));
    assert_eq!(exposed(&world.owners[0]), before);
}

#[test]
fn what_the_owner_has_older_is_replaced() {
    let world = aged(false);
    push(&world.source, "PUT", PATH, "a 1\n");
    push(&world.owners[0], "PUT", PATH, "a 2\nb 2\n");
    // Also by another type: the family as a whole is the newer one's.
    push(&world.source, "POST", PATH, "# TYPE b gauge\nb 1\n");
    world.drain_all();
    assert!(has(&world.owners[0], &line("a", 1)));
    assert!(has(&world.owners[0], &line("b", 1)));
}

#[test]
fn neither_newer_is_a_doubt_that_keeps_the_whole_group() {
    let world = DrainFixture::start(1, &[]);
    within_a_second(|| {
        push(&world.source, "PUT", PATH, "a 1\nb 1\n");
        push(&world.owners[0], "PUT", PATH, "a 2\n");
    });
    let before = (exposed(&world.source), exposed(&world.owners[0]));
    let reason = world.kept();
    assert!(
        reason.starts_with("a differs at its owner") && reason.contains("push the group again"),
        "{reason}"
    );
    assert_eq!((exposed(&world.source), exposed(&world.owners[0])), before);
    // The same bytes need no clock.
    push(&world.owners[0], "PUT", PATH, "a 1\n");
    world.drain_all();
    assert!(has(&world.owners[0], &line("b", 1)));
}

#[test]
fn groups_without_families() {
    let world = DrainFixture::start(1, &[]);
    push(&world.source, "PUT", "/metrics/job/empty", "");
    push(&world.source, "PUT", "/metrics/job/empty/at/both", "");
    push(&world.owners[0], "PUT", "/metrics/job/empty/at/both", "");
    // A stub: the gateway keeps it for a push that it refused.
    push(&world.source, "PUT", "/metrics/job/typed", "# TYPE t counter\nt 1\n");
    push(&world.source, "DELETE", "/metrics/job/none", "");
    assert_eq!(send(&world.source, "/metrics/job/stub", "# TYPE t gauge\nt 1\n").status, 400);
    let report = world.drain_all();
    assert_eq!(counts(&world, &report), json!({"carried": 2, "held": 1, "stubs": 1, "gone": 0, "kept": 0}));
    let mut jobs: Vec<_> =
        world.owners[0].groups().unwrap().into_iter().map(|group| group["job"].clone()).collect();
    jobs.sort();
    assert_eq!(jobs, ["empty", "empty", "typed"]);
    // Pushed, not a stub itself.
    let metrics = world.owners[0].metrics().unwrap();
    let zero = |line: &str| line.starts_with("push_time_seconds") && line.ends_with(" 0");
    assert!(!metrics.lines().any(zero), "{metrics}");
}

#[test]
fn a_group_whose_labels_cannot_be_told_stays() {
    let world = DrainFixture::start(1, &[]);
    push(&world.source, "PUT", "/metrics/job/odd", "labels 1\n");
    push(&world.source, "PUT", "/metrics/job/even", "m 1\n");
    let reason = world.kept();
    assert!(reason.contains("a family named `labels`"), "{reason}");
    assert!(has(&world.source, "labels{instance=\"\",job=\"odd\"} 1"));
    assert!(has(&world.owners[0], "m{instance=\"\",job=\"even\"} 1"));
}

#[test]
fn a_group_at_the_owner_whose_labels_cannot_be_told_may_be_any() {
    let world = DrainFixture::start(1, &[]);
    push(&world.source, "PUT", PATH, "m 1\n");
    push(&world.owners[0], "PUT", PATH, "m 2\nlabels 1\n");
    let reason = world.kept();
    assert!(reason.contains("a group that may be this one"), "{reason}");
    assert!(has(&world.source, &line("m", 1)) && has(&world.owners[0], &line("m", 2)));
}
