//! What changes while it is drained: left to the next run, never lost.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pushring_harness::http::Client;
use pushring_harness::server::Request;
use pushring_harness::{Pushgateway, Shift, poll_until};
use serde_json::json;

use crate::fixture::{DrainFixture, exposed, has, push};

pub(crate) const PATH: &str = "/metrics/job/j";

pub(crate) fn line(name: &str, value: u32) -> String {
    format!("{name}{{instance=\"\",job=\"j\"}} {value}")
}

/// A hook that acts on the n-th request of that sort, with a client of the source.
pub(crate) fn at(
    nth: usize,
    method: &'static str,
    path: &'static str,
    source: &Pushgateway,
    act: impl Fn(&Client) + Send + Sync + 'static,
) -> impl Fn(&Request) + Send + Sync + 'static {
    let (count, client) = (AtomicUsize::new(0), Mutex::new(source.client().unwrap()));
    move |request| {
        if request.method == method
            && request.path.starts_with(path)
            && count.fetch_add(1, Ordering::Relaxed) + 1 == nth
        {
            act(&client.lock().unwrap());
        }
    }
}

/// Reads of two paths come at the same time. Puts a proxy in front of `gateway` that pushes `text` between the two: after
/// the gateway answered `first` and before it gets `second`.
fn push_between(
    world: &mut DrainFixture,
    gateway: SocketAddr,
    [first, second]: [&'static str; 2],
    text: &'static str,
) {
    let answered = Arc::new(AtomicBool::new(false));
    let signal = Arc::clone(&answered);
    let (pushed, client) = (AtomicBool::new(false), Mutex::new(Client::new(gateway).unwrap()));
    let before = move |request: &Request| {
        if request.path == second && !pushed.swap(true, Ordering::SeqCst) {
            poll_until("the first answer", || answered.load(Ordering::SeqCst).then_some(())).unwrap();
            assert_eq!(client.lock().unwrap().put(PATH, text).unwrap().status, 200);
        }
    };
    let after = move |request: &Request| {
        if request.path == first {
            signal.store(true, Ordering::SeqCst);
        }
    };
    world.proxy_with(gateway, Shift::default(), before, after);
}

const ORDERS: [[&str; 2]; 2] = [["/metrics", "/api/v1/metrics"], ["/api/v1/metrics", "/metrics"]];

#[test]
fn a_group_that_is_pushed_to_while_it_is_read_is_left_to_the_next_run() {
    for order in ORDERS {
        let mut world = DrainFixture::start(1, &[]);
        push(&world.source, "PUT", PATH, "a 1\n");
        let source = world.source.address;
        push_between(&mut world, source, order, "a 2\n");
        let output = world.drain(&[]);
        assert_eq!((output.code, world.source.groups().unwrap().len()), (1, 1), "{}", output.stdout);
        world.drain_all();
        assert!(has(&world.owners[0], &line("a", 2)), "{order:?}");
    }
}

#[test]
fn an_owner_that_is_pushed_to_while_it_is_read_keeps_the_push() {
    for order in ORDERS {
        let mut world = DrainFixture::start(1, &[]);
        push(&world.source, "PUT", PATH, "m{x=\"1\"} 1\n");
        let (owner, source) = (world.owners[0].address, world.source.address);
        world.proxy(source, Shift::age(60), |_| {});
        push_between(&mut world, owner, order, "m{x=\"2\"} 2\n");
        world.drain_all();
        assert!(has(&world.owners[0], "m{instance=\"\",job=\"j\",x=\"2\"} 2"), "{order:?}");
    }
}

/// What the source gets while the copy is on its way; the world, and what the first drain said.
fn during_the_copy(
    act: impl Fn(&Client) + Send + Sync + 'static,
) -> (DrainFixture, pushring_harness::command::CommandOutput) {
    let mut world = DrainFixture::start(1, &[]);
    push(&world.source, "PUT", PATH, "a 1\nb 1\n");
    let owner = world.owners[0].address;
    let hook = at(1, "POST", "/metrics", &world.source, act);
    world.proxy(owner, Shift::default(), hook);
    let output = world.drain(&[]);
    (world, output)
}

#[test]
fn a_group_that_is_pushed_to_while_it_is_copied_is_not_deleted() {
    let (world, output) = during_the_copy(|source| drop(source.post(PATH, "a 2\n").unwrap()));
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(output.stdout.contains("pushed to again"), "{}", output.stdout);
    assert!(has(&world.source, &line("a", 2)));
    // The next run finds two values of the same moment, and keeps both until one is certainly newer.
    let mut world = world;
    world.proxies.clear();
    let owner = world.owners[0].address;
    world.proxy(owner, Shift::age(60), |_| {});
    world.drain_all();
    assert!(has(&world.owners[0], &line("a", 2)) && has(&world.owners[0], &line("b", 1)));
}

#[test]
fn a_group_that_appears_is_told_and_left_to_the_next_run() {
    let (world, output) = during_the_copy(|source| drop(source.put("/metrics/job/new", "a 1\n").unwrap()));
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(output.stdout.contains("pushed to meanwhile"), "{}", output.stdout);
    assert_eq!(world.source.groups().unwrap().len(), 1);
    world.drain_all();
}

#[test]
fn a_group_that_is_deleted_by_others_is_gone() {
    let (world, output) = during_the_copy(|source| {
        source.delete(PATH).unwrap();
        // The gateway answers before it deletes.
        let groups = || source.get("/api/v1/metrics").unwrap().json().unwrap()["data"].clone();
        poll_until("the group to be gone", || (groups() == json!([])).then_some(())).unwrap();
    });
    assert_eq!(output.code, 0, "{} {}", output.stdout, output.stderr);
    assert_eq!(output.json().unwrap()["owners"][world.address(&world.owners[0])]["gone"], 1);
}

/// With a maximum decision age of two seconds, one reading allows five deletions of 400 ms each.
#[test]
fn what_rests_on_a_reading_is_done_within_a_second_of_it() {
    let mut world = DrainFixture::start(1, &[]);
    for index in 0..12 {
        push(&world.source, "PUT", &format!("/metrics/job/j{index}"), "a 1\n");
        push(&world.owners[0], "PUT", &format!("/metrics/job/j{index}"), "a 1\n");
    }
    let before = exposed(&world.source);
    let deleted = Arc::new(Mutex::new(vec![0_usize]));
    let (owner, source) = (world.owners[0].address, world.source.address);
    let readings = Arc::clone(&deleted);
    world.proxy(owner, Shift::default(), move |request| {
        if request.path == "/metrics" {
            readings.lock().unwrap().push(0);
        }
    });
    let deletions = Arc::clone(&deleted);
    world.proxy(source, Shift::default(), move |request| {
        if request.method == "DELETE" {
            *deletions.lock().unwrap().last_mut().unwrap() += 1;
            thread::sleep(Duration::from_millis(400));
        }
    });
    assert_eq!(world.drain(&["--max-decision-age", "2s"]).code, 0);
    let deleted = deleted.lock().unwrap();
    assert!(deleted.iter().all(|&batch| batch <= 5), "{deleted:?}");
    assert_eq!(deleted.iter().sum::<usize>(), 12);
    assert_eq!(exposed(&world.owners[0]), before);
}

#[test]
fn an_owner_that_takes_too_long_to_read_gets_nothing() {
    let mut world = DrainFixture::start(1, &[]);
    push(&world.source, "PUT", PATH, "a 1\n");
    let owner = world.owners[0].address;
    world.proxy(owner, Shift::default(), |request| {
        if request.path == "/metrics" {
            thread::sleep(Duration::from_millis(60));
        }
    });
    let reason = world.kept_with(&["--max-decision-age", "50ms"]);
    assert!(reason.contains("a decision may be 50 ms old"), "{reason}");
    assert!(has(&world.source, &line("a", 1)));
    assert_eq!(world.owners[0].groups().unwrap(), []);
}
