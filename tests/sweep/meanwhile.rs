//! What happens between reading and deleting: changes are left to the next run, and a decision is not acted upon when it is
//! more than a second old.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pushring_harness::gateway_fixture::HOUR_OLD;
use pushring_harness::http::Client;
use pushring_harness::server::Request;
use pushring_harness::{DelayingProxy, GatewayFixture, Pushgateway, Shift, poll_until};

use crate::report::{doubled, misplaced, sweep};

/// A hook that does something when the API is read the second time: after the survey, before the deletion.
fn at_second_read(what: impl Fn() + Send + Sync) -> impl Fn(&Request) + Send + Sync {
    let reads = AtomicUsize::new(0);
    move |request| {
        if request.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            what();
        }
    }
}

#[test]
fn a_push_to_the_copy_after_it_was_read_keeps_it() {
    let (mut world, path) = doubled(2);
    let client = Mutex::new(world.client(1));
    let pushed = path.clone();
    world.proxy(
        1,
        HOUR_OLD,
        at_second_read(move || drop(client.lock().unwrap().post(&pushed, "a 3\n").unwrap())),
    );
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 1]));
    assert!(misplaced(&output)["g1"].1.contains("changed meanwhile"), "{output:?}");
    assert!(world.gateways[1].metrics().unwrap().contains(" 3\n"));
}

#[test]
fn a_delete_at_the_owner_after_it_was_read_keeps_the_copy() {
    let (mut world, path) = doubled(2);
    world.age(1);
    let gateway = world.gateways[0].address;
    let deleted = path.clone();
    world.proxy(
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
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![0, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "the owner has no copy");
}

#[test]
fn a_put_at_the_owner_that_drops_a_family_keeps_the_copy() {
    let mut world = GatewayFixture::start(2);
    let path = world.path_of(0, 0);
    world.put(1, &path, "a 1\nb 1\n");
    world.put(0, &path, "a 2\nb 2\n");
    world.age(1);
    let client = Mutex::new(world.client(0));
    let pushed = path.clone();
    let put = move || drop(client.lock().unwrap().put(&pushed, "a 3\n").unwrap());
    world.proxy(0, Shift::default(), at_second_read(put));
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 1]));
    assert_eq!(misplaced(&output)["g1"].1, "the owner lacks b");
}

#[test]
fn a_group_that_is_pushed_all_the_time_is_swept_all_the_same() {
    let (mut world, path) = doubled(2);
    world.age(1);
    let client = Mutex::new(world.client(0));
    // A push to the owner before every single read of it.
    world.proxy(0, Shift::default(), move |_| drop(client.lock().unwrap().put(&path, "a 4\n").unwrap()));
    assert_eq!((sweep(&world, &[]).code, world.counts()), (0, vec![1, 0]));
}

#[test]
fn a_gateway_that_was_started_anew_meanwhile_keeps_what_it_owns_elsewhere() {
    let (mut world, path) = doubled(2);
    world.age(1);
    let address = world.gateways[0].address;
    // It comes back holding nothing; the copy is the only one then.
    let first = Mutex::new(Some(world.gateways.remove(0)));
    let again: Arc<Mutex<Option<Pushgateway>>> = Arc::default();
    let (keep, dir) = (Arc::clone(&again), world.dir.path().to_owned());
    let reads = AtomicUsize::new(0);
    let restart = move |request: &Request| {
        if request.path == "/api/v1/status" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            drop(first.lock().unwrap().take());
            *keep.lock().unwrap() = Some(Pushgateway::start_at(&dir, address, &[]).unwrap());
        }
    };
    let tap = DelayingProxy::start(address, Shift::default(), restart).unwrap();
    world.addresses[0] = tap.address;
    world.configure(serde_json::json!({}));
    assert_eq!(world.owner(&path), 0);
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1]));
    assert!(
        misplaced(&output)["g1"].1.contains("g0 cannot be read again: it was started anew meanwhile"),
        "{output:?}"
    );
}

#[test]
fn a_deletion_is_sent_within_a_second_of_the_reading_or_not_at_all() {
    let (mut world, path) = doubled(2);
    for (limit, pause, expected) in [("50ms", Duration::from_millis(60), 1), ("60s", Duration::ZERO, 0)] {
        let seen: Arc<Mutex<Vec<(String, Instant)>>> = Arc::default();
        let log = Arc::clone(&seen);
        world.put(1, &path, "a 1\n");
        world.age(1);
        // The owner's answer takes longer than a decision may be old: there is no safe moment.
        world.proxy(0, Shift::default(), move |request| {
            log.lock().unwrap().push((request.method.clone(), Instant::now()));
            if request.path == "/metrics" || request.path == "/api/v1/metrics" {
                thread::sleep(pause);
            }
        });
        let output = sweep(&world, &["--max-decision-age", limit]);
        assert_eq!((output.code, world.counts()[1]), (expected, expected as usize), "{output:?}");
        if expected == 1 {
            assert!(misplaced(&output)["g1"].1.contains("longer than a second"), "{output:?}");
        }
        assert!(seen.lock().unwrap().len() >= 4, "status and groups, twice");
    }
}

#[test]
fn a_deletion_that_is_not_answered_is_given_up() {
    let (mut world, _) = doubled(2);
    let (waiting, ended) = mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    world.proxy(1, HOUR_OLD, move |request| {
        if request.method == "DELETE" {
            let _ = ended.lock().unwrap().recv_timeout(Duration::from_secs(600));
        }
    });
    let output = sweep(&world, &["--gateway-timeout", "1h", "--max-delete-time", "1s"]);
    let (result, reason) = &misplaced(&output)["g1"];
    assert_eq!((output.code, result.as_str()), (1, "failed"));
    assert!(reason.contains("no answer in time"), "{reason}");
    drop(waiting);
}

/// Every API is slow by this limit.
const SLOW_API: [&str; 2] = ["--slow-api", "0s"];

#[test]
fn gateways_with_a_slow_api_are_read_again_by_their_exposition() {
    let mut world = GatewayFixture::start(2);
    let paths = [world.path_of(0, 0), format!("{}/instance/i", world.path_of(0, 1))];
    let moved: Vec<&String> = paths.iter().filter(|path| world.owner(path) == 0).collect();
    for path in &moved {
        world.put(1, path, "a 1\n");
        world.put(0, path, "a 2\n");
    }
    world.age(1);
    assert_eq!((sweep(&world, &SLOW_API).code, world.counts()), (0, vec![moved.len(), 0]));
}

#[test]
fn a_change_is_seen_in_the_exposition_too() {
    for gateway in [0, 1] {
        let (mut world, path) = doubled(2);
        world.age(1);
        let client = Mutex::new(world.client(gateway));
        let shift = if gateway == 1 { HOUR_OLD } else { Shift::default() };
        world.proxy(gateway, shift, move |request| {
            if request.path == "/metrics" {
                client.lock().unwrap().post(&path, "a 3\n").unwrap();
            }
        });
        let output = sweep(&world, &SLOW_API);
        assert_eq!((output.code, world.counts()), (1, vec![1, 1]));
        assert!(misplaced(&output)["g1"].1.contains("meanwhile: left to the next run"), "{output:?}");
    }
}
