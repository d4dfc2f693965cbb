//! Clocks that are minutes apart.

use pushring_tests::tap::Shift;

use crate::world::World;

fn clock(seconds: i64) -> Shift {
    Shift { clock: seconds, age: 0 }
}

#[test]
fn an_owner_whose_clock_is_ahead_does_not_seem_newer() {
    let mut world = World::start(2);
    let path = world.path_of(0, 0);
    world.put(0, &path, "a 1\n");
    world.put(1, &path, "a 2\n");
    world.tap(0, clock(600), |_| ());
    assert_eq!((world.sweep(&[]).code, world.counts()), (1, vec![1, 1]));
}

#[test]
fn a_copy_whose_clock_is_behind_does_not_seem_older() {
    let mut world = World::start(2);
    let path = world.path_of(0, 0);
    world.put(0, &path, "a 1\n");
    world.put(1, &path, "a 2\n");
    world.tap(1, clock(-600), |_| ());
    assert_eq!((world.sweep(&[]).code, world.counts()), (1, vec![1, 1]));
}

#[test]
fn what_is_older_goes_whatever_the_clocks_say() {
    for (owner, copy) in [(600, -600), (-600, 600), (7200, 0), (0, 7200)] {
        let mut world = World::start(2);
        let path = world.path_of(0, 0);
        world.put(1, &path, "a 1\n");
        world.put(0, &path, "a 2\n");
        world.tap(0, clock(owner), |_| ());
        world.tap(1, Shift { clock: copy, age: 60 }, |_| ());
        assert_eq!((world.sweep(&[]).code, world.counts()), (0, vec![1, 0]), "{owner} {copy}");
    }
}

#[test]
fn the_age_of_an_orphan_is_told_by_its_own_gateway() {
    let mut world = World::start(2);
    let path = world.path_of(0, 0);
    world.put(1, &path, "a 1\n");
    world.tap(1, clock(-600), |_| ());
    assert_eq!((world.sweep(&["--orphans-after", "5m"]).code, world.counts()), (1, vec![0, 1]));
    world.tap(1, Shift { clock: 600, age: 600 }, |_| ());
    assert_eq!((world.sweep(&["--orphans-after", "5m"]).code, world.counts()), (0, vec![0, 0]));
}
