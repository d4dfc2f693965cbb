//! Families are compared one by one: the owner keeps newer families and gets those that it lacks or has older.

use pushring_harness::Shift;
use serde_json::json;

use crate::fixture::{DrainFixture, exposed, has, push, send, within_a_second};

const PATH: &str = "/metrics/job/j/instance/i";

fn line(name: &str, value: u32) -> String {
    format!("{name}{{instance=\"i\",job=\"j\"}} {value}")
}

/// Shows all groups of the source, or of its only owner, as pushed an hour ago.
fn aged(source: bool) -> DrainFixture {
    let mut fixture = DrainFixture::start(1, &[]);
    let old = if source { fixture.source.address } else { fixture.owners[0].address };
    fixture.proxy(old, Shift::age(3600), |_| {});
    fixture
}

fn counts(fixture: &DrainFixture, report: &serde_json::Value) -> serde_json::Value {
    report["owners"][fixture.address(&fixture.owners[0])].clone()
}

#[test]
fn carries_only_families_that_the_owner_lacks() {
    let fixture = aged(true);
    push(&fixture.source, "POST", PATH, "a 1\nb 1\n");
    push(&fixture.source, "POST", PATH, "c 1\n");
    push(&fixture.owners[0], "POST", PATH, "b 2\nd 2\n");
    let report = fixture.drain_all();
    let owner = &fixture.owners[0];
    for (name, value) in [("a", 1), ("b", 2), ("c", 1), ("d", 2)] {
        assert!(has(owner, &line(name, value)), "{name}: {}", owner.metrics().unwrap());
    }
    assert_eq!(counts(&fixture, &report)["carried"], 1);
}

#[test]
fn deletes_a_group_that_the_owner_has_newer() {
    let fixture = aged(true);
    push(&fixture.source, "PUT", PATH, "a 1\nb 1\n");
    push(&fixture.owners[0], "PUT", PATH, "a 2\nb 2\n");
    let before = exposed(&fixture.owners[0]);
    let report = fixture.drain_all();
    assert_eq!(counts(&fixture, &report), json!({"carried": 0, "held": 1, "stubs": 0, "gone": 0, "kept": 0}));
    assert_eq!(exposed(&fixture.owners[0]), before);
}

#[test]
fn replaces_older_families_on_the_owner() {
    let fixture = aged(false);
    push(&fixture.source, "PUT", PATH, "a 1\n");
    push(&fixture.owners[0], "PUT", PATH, "a 2\nb 2\n");
    // The type may differ too: the newer family replaces the whole family.
    push(&fixture.source, "POST", PATH, "# TYPE b gauge\nb 1\n");
    fixture.drain_all();
    assert!(has(&fixture.owners[0], &line("a", 1)));
    assert!(has(&fixture.owners[0], &line("b", 1)));
}

#[test]
fn keeps_a_group_if_neither_family_is_newer() {
    let fixture = DrainFixture::start(1, &[]);
    within_a_second(|| {
        push(&fixture.source, "PUT", PATH, "a 1\nb 1\n");
        push(&fixture.owners[0], "PUT", PATH, "a 2\n");
    });
    let before = (exposed(&fixture.source), exposed(&fixture.owners[0]));
    assert_eq!(fixture.kept(), "not_newer");
    assert_eq!((exposed(&fixture.source), exposed(&fixture.owners[0])), before);
    // Equal bytes need no comparison of times.
    push(&fixture.owners[0], "PUT", PATH, "a 1\n");
    fixture.drain_all();
    assert!(has(&fixture.owners[0], &line("b", 1)));
}

#[test]
fn carries_groups_without_families_and_drops_stubs() {
    let fixture = DrainFixture::start(1, &[]);
    push(&fixture.source, "PUT", "/metrics/job/empty", "");
    push(&fixture.source, "PUT", "/metrics/job/empty/at/both", "");
    push(&fixture.owners[0], "PUT", "/metrics/job/empty/at/both", "");
    // The gateway keeps a stub for a rejected push.
    push(&fixture.source, "PUT", "/metrics/job/typed", "# TYPE t counter\nt 1\n");
    push(&fixture.source, "DELETE", "/metrics/job/none", "");
    assert_eq!(send(&fixture.source, "/metrics/job/stub", "# TYPE t gauge\nt 1\n").status, 400);
    let report = fixture.drain_all();
    assert_eq!(counts(&fixture, &report), json!({"carried": 2, "held": 1, "stubs": 1, "gone": 0, "kept": 0}));
    let mut jobs: Vec<_> =
        fixture.owners[0].groups().unwrap().into_iter().map(|group| group["job"].clone()).collect();
    jobs.sort();
    assert_eq!(jobs, ["empty", "empty", "typed"]);
    // The copy counts as a push, so the group is not a stub.
    let metrics = fixture.owners[0].metrics().unwrap();
    let zero = |line: &str| line.starts_with("push_time_seconds") && line.ends_with(" 0");
    assert!(!metrics.lines().any(zero), "{metrics}");
}

#[test]
fn keeps_a_group_with_ambiguous_labels() {
    let fixture = DrainFixture::start(1, &[]);
    push(&fixture.source, "PUT", "/metrics/job/odd", "labels 1\n");
    push(&fixture.source, "PUT", "/metrics/job/even", "m 1\n");
    assert_eq!(fixture.kept(), "unknown_labels");
    assert!(has(&fixture.source, "labels{instance=\"\",job=\"odd\"} 1"));
    assert!(has(&fixture.owners[0], "m{instance=\"\",job=\"even\"} 1"));
}

#[test]
fn keeps_all_groups_if_the_owner_has_ambiguous_labels() {
    let fixture = DrainFixture::start(1, &[]);
    push(&fixture.source, "PUT", PATH, "m 1\n");
    push(&fixture.owners[0], "PUT", PATH, "m 2\nlabels 1\n");
    assert_eq!(fixture.kept(), "owner_labels_unknown");
    assert!(has(&fixture.source, &line("m", 1)) && has(&fixture.owners[0], &line("m", 2)));
}
