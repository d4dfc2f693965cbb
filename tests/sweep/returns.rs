//! A gateway that comes back with what it held long ago, and two sweepers at the same time.

use std::thread;

use pushring_harness::{GatewayFixture, Pushgateway, Shift};
use rustix::process::Signal;
use serde_json::json;

use crate::report::sweep;

#[test]
fn what_a_gateway_persisted_before_it_failed_does_not_supersede_anything() {
    let mut world = GatewayFixture::start(2);
    let file = world.dir.path().join("persisted");
    let flags = [format!("--persistence.file={}", file.display())];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut persistent = Pushgateway::start(world.dir.path(), &flags).unwrap();
    let address = persistent.address;
    world.gateways.push(persistent);
    world.addresses.push(address);
    world.configure(json!({}));
    let (owned, foreign) = (world.path_of(2, 0), world.path_of(0, 0));
    world.put(2, &owned, "a 1\n");
    world.put(2, &foreign, "a 1\n");
    persistent = world.gateways.pop().unwrap();
    // Asked to end, it writes what it holds.
    assert!(persistent.process.stop(Signal::TERM).unwrap().success());
    // Pushed while it was away: to the successor of the one, to the owner of the other.
    world.put(1, &owned, "a 2\n");
    world.put(0, &foreign, "a 2\n");
    world.gateways.push(Pushgateway::start_at(world.dir.path(), address, &flags).unwrap());
    assert_eq!(world.counts(), [1, 1, 2]);
    world.age(2);

    // Its own group is older than the successor's copy, which therefore stays.
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 1, 1]));
    assert!(world.gateways[1].metrics().unwrap().contains(" 2\n"));
    world.put(2, &owned, "a 3\n");
    world.age(1);
    world.proxy(2, Shift::default(), |_| ());
    assert_eq!((sweep(&world, &[]).code, world.counts()), (0, vec![1, 0, 1]));
}

#[test]
fn two_sweepers_at_once_do_no_harm() {
    let mut world = GatewayFixture::start(3);
    for number in 0..150 {
        let path = world.path_of(number % 2, number);
        world.put(2, &path, "a 1\n");
        if number % 4 < 2 {
            world.put(number % 2, &path, "a 2\n");
        }
    }
    world.age(2);
    let codes: Vec<i32> = thread::scope(|scope| {
        let sweepers: Vec<_> = (0..2).map(|_| scope.spawn(|| sweep(&world, &[]).code)).collect();
        sweepers.into_iter().map(|sweeper| sweeper.join().unwrap()).collect()
    });
    assert_eq!(codes, [1, 1], "what has no copy at its owner stays");
    assert_eq!(world.counts(), [38, 38, 74]);
}
