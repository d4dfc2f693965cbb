//! A gateway that comes back with old groups, and two sweepers at the same time.

use std::thread;

use pushring_harness::{GatewayFixture, Pushgateway, Shift};
use rustix::process::Signal;
use serde_json::json;

use crate::report::sweep;

#[test]
fn persisted_groups_supersede_nothing() {
    let mut fixture = GatewayFixture::start(2);
    let file = fixture.dir.path().join("persisted");
    let flags = [format!("--persistence.file={}", file.display())];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut persistent = Pushgateway::start(fixture.dir.path(), &flags).unwrap();
    let address = persistent.address;
    fixture.gateways.push(persistent);
    fixture.addresses.push(address);
    fixture.configure(json!({}));
    let (owned, foreign) = (fixture.path_of(2, 0), fixture.path_of(0, 0));
    fixture.put(2, &owned, "a 1\n");
    fixture.put(2, &foreign, "a 1\n");
    persistent = fixture.gateways.pop().unwrap();
    // On SIGTERM it persists its groups.
    assert!(persistent.process.stop(Signal::TERM).unwrap().success());
    // These pushes arrive while it is away: at its successor and at the owner of the other group.
    fixture.put(1, &owned, "a 2\n");
    fixture.put(0, &foreign, "a 2\n");
    fixture.gateways.push(Pushgateway::start_at(fixture.dir.path(), address, &flags).unwrap());
    assert_eq!(fixture.counts(), [1, 1, 2]);
    fixture.age(2);

    // Its own group is older than the successor's copy, so the copy stays.
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 1, 1]));
    assert!(fixture.gateways[1].metrics().unwrap().contains(" 2\n"));
    fixture.put(2, &owned, "a 3\n");
    fixture.age(1);
    fixture.proxy(2, Shift::default(), |_| ());
    assert_eq!((sweep(&fixture, &[]).code, fixture.counts()), (0, vec![1, 0, 1]));
}

#[test]
fn two_concurrent_sweepers_lose_nothing() {
    let mut fixture = GatewayFixture::start(3);
    for number in 0..150 {
        let path = fixture.path_of(number % 2, number);
        fixture.put(2, &path, "a 1\n");
        if number % 4 < 2 {
            fixture.put(number % 2, &path, "a 2\n");
        }
    }
    fixture.age(2);
    let codes: Vec<i32> = thread::scope(|scope| {
        let sweepers: Vec<_> = (0..2).map(|_| scope.spawn(|| sweep(&fixture, &[]).code)).collect();
        sweepers.into_iter().map(|sweeper| sweeper.join().unwrap()).collect()
    });
    assert_eq!(codes, [1, 1], "groups that their owner lacks stay");
    assert_eq!(fixture.counts(), [38, 38, 74]);
}
