//! The owner supersedes a copy if it has every family of it, each newer.

use pushring_harness::{GatewayFixture, Shift};

use crate::report::{misplaced, sweep};

/// Adds metrics to a group of a gateway, which must accept them.
fn post(fixture: &GatewayFixture, gateway: usize, path: &str, body: &str) {
    let answer = fixture.client(gateway).post(path, body.to_owned()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn deletes_a_copy_if_every_family_is_newer_on_the_owner() {
    let mut fixture = GatewayFixture::start(3);
    let path = fixture.path_of(0, 0);
    fixture.put(0, &path, "a 2\nb 2\nc 2\n");
    fixture.put(1, &path, "a 1\nb 1\n");
    fixture.put(2, &path, "a 1\n");
    let in_place = fixture.path_of(1, 0);
    fixture.put(1, &in_place, "x 1\n");

    // The copies are the newer ones, by a moment or more.
    let output = sweep(&fixture, &[]);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(fixture.counts(), [1, 2, 1]);
    assert_eq!(misplaced(&output)["g1"].1, "not_newer");

    fixture.age(1);
    fixture.age(2);
    let output = sweep(&fixture, &["--dry-run"]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 2, 1]));
    assert_eq!(output.json().unwrap()["dry_run"], true);
    assert_eq!(misplaced(&output)["g2"].0, "deleted");
    let output = sweep(&fixture, &[]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(fixture.counts(), [1, 1, 0]);
    assert_eq!(output.json().unwrap()["in_place"], 2);
    assert!(fixture.gateways[1].metrics().unwrap().contains("x{"));
    assert_eq!(sweep(&fixture, &[]).code, 0, "nothing is left to do");
}

#[test]
fn keeps_a_copy_with_a_family_that_the_owner_lacks() {
    let mut fixture = GatewayFixture::start(2);
    let path = fixture.path_of(0, 0);
    post(&fixture, 1, &path, "a 1\n");
    post(&fixture, 1, &path, "b 1\n");
    post(&fixture, 0, &path, "a 2\n");
    fixture.age(1);
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 1]));
    assert_eq!(misplaced(&output)["g1"], ("kept".to_owned(), "lacking".to_owned()));

    post(&fixture, 0, &path, "b 2\n");
    assert_eq!(sweep(&fixture, &[]).code, 0);
    assert_eq!(fixture.counts(), [1, 0]);
}

#[test]
fn keeps_a_copy_with_a_family_that_is_older_on_the_owner() {
    // The owner has the group as a whole newer, but not its `a`.
    let mut fixture = GatewayFixture::start(2);
    let path = fixture.path_of(0, 0);
    post(&fixture, 1, &path, "a 1\nb 1\n");
    post(&fixture, 0, &path, "a 2\nb 2\n");
    fixture.age(1);
    fixture.proxy(0, Shift { family_age: Some(("a", 7200)), ..Shift::default() }, |_| ());
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "not_newer");
}

#[test]
fn keeps_a_group_that_the_owner_lacks_unless_it_is_an_orphan() {
    let mut fixture = GatewayFixture::start(2);
    let path = fixture.path_of(0, 0);
    fixture.put(1, &path, "a 1\n");
    fixture.age(1);
    let output = sweep(&fixture, &["--orphans-after", "2h"]);
    assert_eq!((output.code, fixture.counts()), (1, vec![0, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "left_behind");
    let output = sweep(&fixture, &["--orphans-after", "59m"]);
    assert_eq!((output.code, fixture.counts()), (0, vec![0, 0]), "{output:?}");
}

#[test]
fn compares_groups_without_families_and_stubs() {
    let mut fixture = GatewayFixture::start(2);
    let (empty, stub) = (fixture.path_of(0, 0), fixture.path_of(0, 1));
    fixture.put(1, &empty, "");
    // The gateway rejects a sample with a time stamp and keeps a group without a push.
    assert_eq!(fixture.send(1, &stub, "a 1 1\n"), 400);
    fixture.age(1);
    assert_eq!((sweep(&fixture, &[]).code, fixture.counts()), (1, vec![0, 2]));
    fixture.put(0, &empty, "");
    fixture.put(0, &stub, "a 1\n");
    assert_eq!((sweep(&fixture, &[]).code, fixture.counts()), (0, vec![2, 0]));
}

#[test]
fn deletes_groups_with_labels_of_every_kind() {
    let mut fixture = GatewayFixture::start(2);
    let spellings = [
        "/metrics/job@base64/YS9i/x@base64/=",
        "/metrics/job/j/instance/",
        "/metrics/job/j%20%C3%A4/path@base64/L3Zhci90bXA",
        "/metrics/job/j+k/a/1/b/2/c/3",
        "/metrics/job/x",
    ];
    let mut moved = 0;
    for path in spellings {
        let owner = fixture.owner(path);
        fixture.put(1 - owner, path, "a 1\n");
        moved += usize::from(owner == 0);
    }
    let before = fixture.counts();
    assert_eq!(before, [spellings.len() - moved, moved]);
    fixture.age(0);
    fixture.age(1);
    assert_eq!(sweep(&fixture, &["--orphans-after", "1m"]).code, 0);
    assert_eq!(fixture.counts(), [0, 0]);
}
