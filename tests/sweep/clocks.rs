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
    let fixture = GatewayFixture::start(2);
    let path = fixture.path_of(0, 0);
    fixture.put(0, &path, "a 1\n");
    fixture.put(1, &path, "a 2\n");
    fixture
}

#[test]
fn corrects_the_clock_of_an_owner_that_is_ahead() {
    let mut fixture = newer_copy();
    fixture.proxy(0, clock(600), |_| ());
    assert_eq!((sweep(&fixture, &[]).code, fixture.counts()), (1, vec![1, 1]));
}

#[test]
fn corrects_the_clock_of_a_copy_that_is_behind() {
    let mut fixture = newer_copy();
    fixture.proxy(1, clock(-600), |_| ());
    assert_eq!((sweep(&fixture, &[]).code, fixture.counts()), (1, vec![1, 1]));
}

#[test]
fn deletes_an_older_copy_whatever_the_clocks() {
    for (owner, copy) in [(600, -600), (-600, 600), (7200, 0), (0, 7200)] {
        let (mut fixture, _) = doubled(2);
        fixture.proxy(0, clock(owner), |_| ());
        fixture.proxy(1, Shift { clock: copy, age: 60, ..Shift::default() }, |_| ());
        assert_eq!((sweep(&fixture, &[]).code, fixture.counts()), (0, vec![1, 0]), "{owner} {copy}");
    }
}

#[test]
fn takes_the_age_of_an_orphan_from_its_own_gateway() {
    let mut fixture = GatewayFixture::start(2);
    let path = fixture.path_of(0, 0);
    fixture.put(1, &path, "a 1\n");
    fixture.proxy(1, clock(-600), |_| ());
    assert_eq!((sweep(&fixture, &["--orphans-after", "5m"]).code, fixture.counts()), (1, vec![0, 1]));
    fixture.proxy(1, Shift { clock: 600, age: 600, ..Shift::default() }, |_| ());
    assert_eq!((sweep(&fixture, &["--orphans-after", "5m"]).code, fixture.counts()), (0, vec![0, 0]));
}

/// Shows a gateway whose clock is set back right after it reported its date. A local clock that leaps ahead looks the
/// same.
fn set_back(fixture: &mut GatewayFixture, gateway: usize) {
    let itself: Arc<OnceLock<DelayingProxy>> = Arc::default();
    let tap = DelayingProxy::start(fixture.gateways[gateway].address, clock(600), {
        let itself = Arc::clone(&itself);
        move |request| {
            if request.path == "/api/v1/metrics" {
                itself.get().unwrap().set(clock(0));
            }
        }
    });
    let tap = itself.get_or_init(|| tap.unwrap());
    fixture.addresses[gateway] = tap.address;
    fixture.configure(json!({}));
}

#[test]
fn keeps_a_copy_if_a_clock_is_set_during_the_survey() {
    let mut fixture = newer_copy();
    set_back(&mut fixture, 1);
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "clock_set", "{output:?}");
}

#[test]
fn keeps_an_orphan_if_a_clock_is_set_during_the_survey() {
    let mut fixture = GatewayFixture::start(2);
    let path = fixture.path_of(0, 0);
    fixture.put(1, &path, "a 1\n");
    set_back(&mut fixture, 1);
    assert_eq!((sweep(&fixture, &["--orphans-after", "5m"]).code, fixture.counts()), (1, vec![0, 1]));
}

#[test]
fn keeps_a_copy_if_the_owners_push_is_in_the_future() {
    let mut fixture = newer_copy();
    fixture.proxy(0, Shift::age(-600), |_| ());
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "future_timestamp", "{output:?}");
}
