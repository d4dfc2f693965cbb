//! Events between reading and deleting: changed groups are left to the next run, and no decision is used after its
//! maximum age.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pushring_harness::gateway_fixture::HOUR_OLD;
use pushring_harness::http::Client;
use pushring_harness::server::Request;
use pushring_harness::{DelayingProxy, GatewayFixture, Pushgateway, Shift, poll_until};

use crate::report::{doubled, misplaced, sweep};

/// Returns a hook that acts at the second read of the API: after the survey and before the deletion.
pub(crate) fn at_second_read(what: impl Fn() + Send + Sync) -> impl Fn(&Request) + Send + Sync {
    let reads = AtomicUsize::new(0);
    move |request| {
        if request.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            what();
        }
    }
}

#[test]
fn keeps_a_copy_that_was_pushed_to_after_the_survey() {
    let (mut fixture, path) = doubled(2);
    let client = Mutex::new(fixture.client(1));
    let pushed = path.clone();
    fixture.proxy(
        1,
        HOUR_OLD,
        at_second_read(move || drop(client.lock().unwrap().post(&pushed, "a 3\n").unwrap())),
    );
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "changed", "{output:?}");
    assert!(fixture.gateways[1].metrics().unwrap().contains(" 3\n"));
}

#[test]
fn keeps_a_copy_if_the_owners_group_is_deleted() {
    let (mut fixture, path) = doubled(2);
    fixture.age(1);
    let gateway = fixture.gateways[0].address;
    let deleted = path.clone();
    fixture.proxy(
        0,
        Shift::default(),
        at_second_read(move || {
            let client = Client::new(gateway).unwrap();
            client.delete(&deleted).unwrap();
            let empty = || {
                (client.get("/api/v1/metrics").unwrap().json().unwrap()["data"] == serde_json::json!([]))
                    .then_some(())
            };
            poll_until("the group to be gone", empty).unwrap();
        }),
    );
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![0, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "left_behind");
}

#[test]
fn keeps_a_copy_if_a_put_drops_a_family_on_the_owner() {
    let mut fixture = GatewayFixture::start(2);
    let path = fixture.path_of(0, 0);
    fixture.put(1, &path, "a 1\nb 1\n");
    fixture.put(0, &path, "a 2\nb 2\n");
    fixture.age(1);
    let client = Mutex::new(fixture.client(0));
    let pushed = path.clone();
    let put = move || drop(client.lock().unwrap().put(&pushed, "a 3\n").unwrap());
    fixture.proxy(0, Shift::default(), at_second_read(put));
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "lacking");
}

#[test]
fn deletes_copies_of_a_group_that_is_pushed_all_the_time() {
    let (mut fixture, path) = doubled(2);
    fixture.age(1);
    let client = Mutex::new(fixture.client(0));
    // The owner gets a push before each read of it.
    fixture.proxy(0, Shift::default(), move |_| drop(client.lock().unwrap().put(&path, "a 4\n").unwrap()));
    assert_eq!((sweep(&fixture, &[]).code, fixture.counts()), (0, vec![1, 0]));
}

#[test]
fn keeps_copies_of_an_owner_that_restarted() {
    let (mut fixture, path) = doubled(2);
    fixture.age(1);
    let address = fixture.gateways[0].address;
    // The gateway comes back empty, so that the copy is the only one.
    let first = Mutex::new(Some(fixture.gateways.remove(0)));
    let again: Arc<Mutex<Option<Pushgateway>>> = Arc::default();
    let (keep, dir) = (Arc::clone(&again), fixture.dir.path().to_owned());
    let reads = AtomicUsize::new(0);
    let restart = move |request: &Request| {
        if request.path == "/api/v1/status" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            drop(first.lock().unwrap().take());
            *keep.lock().unwrap() = Some(Pushgateway::start_at(&dir, address, &[]).unwrap());
        }
    };
    let tap = DelayingProxy::start(address, Shift::default(), restart).unwrap();
    fixture.addresses[0] = tap.address;
    fixture.configure(serde_json::json!({}));
    assert_eq!(fixture.owner(&path), 0);
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1]));
    assert_eq!(misplaced(&output)["g1"].1, "restarted", "{output:?}");
}

#[test]
fn deletes_only_within_the_maximum_age_of_a_decision() {
    let (mut fixture, path) = doubled(2);
    for (limit, pause, expected) in [("50ms", Duration::from_millis(60), 1), ("60s", Duration::ZERO, 0)] {
        let seen: Arc<Mutex<Vec<(String, Instant)>>> = Arc::default();
        let log = Arc::clone(&seen);
        fixture.put(1, &path, "a 1\n");
        fixture.age(1);
        // The answer takes longer than the maximum age of a decision, so no moment is safe.
        fixture.proxy(0, Shift::default(), move |request| {
            log.lock().unwrap().push((request.method.clone(), Instant::now()));
            if request.path == "/metrics" || request.path == "/api/v1/metrics" {
                thread::sleep(pause);
            }
        });
        let output = sweep(&fixture, &["--max-decision-age", limit]);
        assert_eq!((output.code, fixture.counts()[1]), (expected, expected as usize), "{output:?}");
        if expected == 1 {
            assert_eq!(misplaced(&output)["g1"].1, "too_slow", "{output:?}");
        }
        assert!(seen.lock().unwrap().len() >= 4, "status and groups, twice");
    }
}

#[test]
fn gives_up_a_deletion_without_an_answer() {
    let (mut fixture, _) = doubled(2);
    let (waiting, ended) = mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    fixture.proxy(1, HOUR_OLD, move |request| {
        if request.method == "DELETE" {
            let _ = ended.lock().unwrap().recv_timeout(Duration::from_secs(600));
        }
    });
    let output = sweep(&fixture, &["--gateway-timeout", "1h", "--max-delete-time", "1s"]);
    let (result, code) = &misplaced(&output)["g1"];
    assert_eq!((output.code, result.as_str(), code.as_str()), (1, "failed", "delete_failed"));
    drop(waiting);
}

/// With this limit, every API counts as slow.
const SLOW_API: [&str; 2] = ["--slow-api", "0s"];

#[test]
fn reads_a_gateway_with_a_slow_api_by_its_exposition() {
    let mut fixture = GatewayFixture::start(2);
    let paths = [fixture.path_of(0, 0), format!("{}/instance/i", fixture.path_of(0, 1))];
    let moved: Vec<&String> = paths.iter().filter(|path| fixture.owner(path) == 0).collect();
    for path in &moved {
        fixture.put(1, path, "a 1\n");
        fixture.put(0, path, "a 2\n");
    }
    fixture.age(1);
    assert_eq!((sweep(&fixture, &SLOW_API).code, fixture.counts()), (0, vec![moved.len(), 0]));
}

#[test]
fn notices_a_change_in_the_exposition() {
    for gateway in [0, 1] {
        let (mut fixture, path) = doubled(2);
        fixture.age(1);
        let client = Mutex::new(fixture.client(gateway));
        let shift = if gateway == 1 { HOUR_OLD } else { Shift::default() };
        fixture.proxy(gateway, shift, move |request| {
            if request.path == "/metrics" {
                client.lock().unwrap().post(&path, "a 3\n").unwrap();
            }
        });
        let output = sweep(&fixture, &SLOW_API);
        assert_eq!((output.code, fixture.counts()), (1, vec![1, 1]));
        assert_eq!(misplaced(&output)["g1"].1, "changed", "{output:?}");
    }
}
