//! What supersedes a copy: every family of it at the owner, each newer.

use pushring_harness::{GatewayFixture, Shift};

use crate::report::{misplaced, sweep};

/// Adds to a group of a gateway, which must take it.
fn post(world: &GatewayFixture, gateway: usize, path: &str, body: &str) {
    let answer = world.client(gateway).post(path, body.to_owned()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_copy_goes_when_the_owner_has_all_of_it_newer() {
    let mut world = GatewayFixture::start(3);
    let path = world.path_of(0, 0);
    world.put(0, &path, "a 2\nb 2\nc 2\n");
    world.put(1, &path, "a 1\nb 1\n");
    world.put(2, &path, "a 1\n");
    let in_place = world.path_of(1, 0);
    world.put(1, &in_place, "x 1\n");

    // The copies are the newer ones, by a moment or more.
    let output = sweep(&world, &[]);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(world.counts(), [1, 2, 1]);
    assert_eq!(misplaced(&output)["g1"].1, "the owner's is not certainly newer: a, b");

    world.age(1);
    world.age(2);
    let output = sweep(&world, &["--dry-run"]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 2, 1]));
    assert_eq!(output.json().unwrap()["dry_run"], true);
    assert_eq!(misplaced(&output)["g2"].0, "deleted");
    let output = sweep(&world, &[]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(world.counts(), [1, 1, 0]);
    assert_eq!(output.json().unwrap()["in_place"], 2);
    assert!(world.gateways[1].metrics().unwrap().contains("x{"));
    assert_eq!(sweep(&world, &[]).code, 0, "nothing is left to do");
}

#[test]
fn a_family_that_the_owner_lacks_keeps_the_copy() {
    let mut world = GatewayFixture::start(2);
    let path = world.path_of(0, 0);
    post(&world, 1, &path, "a 1\n");
    post(&world, 1, &path, "b 1\n");
    post(&world, 0, &path, "a 2\n");
    world.age(1);
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 1]));
    assert_eq!(misplaced(&output)["g1"], ("kept".to_owned(), "the owner lacks b".to_owned()));

    post(&world, 0, &path, "b 2\n");
    assert_eq!(sweep(&world, &[]).code, 0);
    assert_eq!(world.counts(), [1, 0]);
}

#[test]
fn a_family_that_is_older_at_the_owner_keeps_the_copy() {
    // The owner has the group as a whole newer, but not its `a`.
    let mut world = GatewayFixture::start(2);
    let path = world.path_of(0, 0);
    post(&world, 1, &path, "a 1\nb 1\n");
    post(&world, 0, &path, "a 2\nb 2\n");
    world.age(1);
    world.proxy(0, Shift { family_age: Some(("a", 7200)), ..Shift::default() }, |_| ());
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "the owner's is not certainly newer: a");
}

#[test]
fn what_the_owner_does_not_have_stays_unless_it_is_an_orphan() {
    let mut world = GatewayFixture::start(2);
    let path = world.path_of(0, 0);
    world.put(1, &path, "a 1\n");
    world.age(1);
    let output = sweep(&world, &["--orphans-after", "2h"]);
    assert_eq!((output.code, world.counts()), (1, vec![0, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "the owner has no copy");
    let output = sweep(&world, &["--orphans-after", "59m"]);
    assert_eq!((output.code, world.counts()), (0, vec![0, 0]), "{output:?}");
}

#[test]
fn a_group_without_families_and_a_stub() {
    let mut world = GatewayFixture::start(2);
    let (empty, stub) = (world.path_of(0, 0), world.path_of(0, 1));
    world.put(1, &empty, "");
    // A sample with a time stamp is refused, and leaves a group without a push.
    assert_eq!(world.send(1, &stub, "a 1 1\n"), 400);
    world.age(1);
    assert_eq!((sweep(&world, &[]).code, world.counts()), (1, vec![0, 2]));
    world.put(0, &empty, "");
    world.put(0, &stub, "a 1\n");
    assert_eq!((sweep(&world, &[]).code, world.counts()), (0, vec![2, 0]));
}

#[test]
fn labels_of_every_kind_find_their_way() {
    let mut world = GatewayFixture::start(2);
    let spellings = [
        "/metrics/job@base64/YS9i/x@base64/=",
        "/metrics/job/j/instance/",
        "/metrics/job/j%20%C3%A4/path@base64/L3Zhci90bXA",
        "/metrics/job/j+k/a/1/b/2/c/3",
        "/metrics/job/x",
    ];
    let mut moved = 0;
    for path in spellings {
        let owner = world.owner(path);
        world.put(1 - owner, path, "a 1\n");
        moved += usize::from(owner == 0);
    }
    let before = world.counts();
    assert_eq!(before, [spellings.len() - moved, moved]);
    world.age(0);
    world.age(1);
    assert_eq!(sweep(&world, &["--orphans-after", "1m"]).code, 0);
    assert_eq!(world.counts(), [0, 0]);
}
