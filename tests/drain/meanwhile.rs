//! What changes while it is drained: left to the next run, never lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pushring_harness::http::Client;
use pushring_harness::tap::{Passing, Shift};
use pushring_harness::{Pushgateway, poll_until};

use crate::world::{World, exposed, has, push};

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
) -> impl Fn(&Passing) + Send + Sync + 'static {
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

/// A hook that pushes between the answers to the first requests for two paths, which come at the same time: `first` is
/// answered without the push. If that takes longer than it should, both know the push, and all is well too.
fn between(
    [first, second]: [&'static str; 2],
    gateway: &Pushgateway,
    text: &'static str,
) -> impl Fn(&Passing) + Send + Sync + 'static {
    let (passed, pushed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let client = Mutex::new(gateway.client().unwrap());
    move |request| {
        if request.path == first {
            passed.fetch_add(1, Ordering::SeqCst);
        } else if request.path == second && pushed.fetch_add(1, Ordering::SeqCst) == 0 {
            poll_until(first, || (passed.load(Ordering::SeqCst) > 0).then_some(())).unwrap();
            thread::sleep(Duration::from_millis(300));
            client.lock().unwrap().put(PATH, text).unwrap();
        }
    }
}

const ORDERS: [[&str; 2]; 2] = [["/metrics", "/api/v1/metrics"], ["/api/v1/metrics", "/metrics"]];

#[test]
fn a_group_that_is_pushed_to_while_it_is_read_is_left_to_the_next_run() {
    for order in ORDERS {
        let mut world = World::start(1, &[]);
        push(&world.source, "PUT", PATH, "a 1\n");
        let source = world.source.address;
        world.tap(source, Shift::default(), between(order, &world.source, "a 2\n"));
        let ran = world.drain(&[]);
        let left = !world.source.groups().unwrap().is_empty();
        assert_eq!(ran.code == 1, left, "{}", ran.stdout);
        world.drain_all();
        assert!(has(&world.owners[0], &line("a", 2)), "{order:?}");
    }
}

#[test]
fn an_owner_that_is_pushed_to_while_it_is_read_keeps_the_push() {
    for order in ORDERS {
        let mut world = World::start(1, &[]);
        push(&world.source, "PUT", PATH, "m{x=\"1\"} 1\n");
        let (owner, source) = (world.owners[0].address, world.source.address);
        world.tap(source, Shift { age: 60, ..Shift::default() }, |_| {});
        world.tap(owner, Shift::default(), between(order, &world.owners[0], "m{x=\"2\"} 2\n"));
        world.drain_all();
        assert!(has(&world.owners[0], "m{instance=\"\",job=\"j\",x=\"2\"} 2"), "{order:?}");
    }
}

/// What the source gets while the copy is on its way; the world, and what the first drain said.
fn during_the_copy(act: impl Fn(&Client) + Send + Sync + 'static) -> (World, pushring_harness::command::Ran) {
    let mut world = World::start(1, &[]);
    push(&world.source, "PUT", PATH, "a 1\nb 1\n");
    let owner = world.owners[0].address;
    let hook = at(1, "POST", "/metrics", &world.source, act);
    world.tap(owner, Shift::default(), hook);
    let ran = world.drain(&[]);
    (world, ran)
}

#[test]
fn a_group_that_is_pushed_to_while_it_is_copied_is_not_deleted() {
    let (world, ran) = during_the_copy(|source| drop(source.post(PATH, "a 2\n").unwrap()));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("pushed to again"), "{}", ran.stdout);
    assert!(has(&world.source, &line("a", 2)));
    // The next run finds two values of the same moment, and keeps both until one is certainly newer.
    let mut world = world;
    world.taps.clear();
    let owner = world.owners[0].address;
    world.tap(owner, Shift { age: 60, ..Shift::default() }, |_| {});
    world.drain_all();
    assert!(has(&world.owners[0], &line("a", 2)) && has(&world.owners[0], &line("b", 1)));
}

#[test]
fn a_group_that_appears_is_told_and_left_to_the_next_run() {
    let (world, ran) = during_the_copy(|source| drop(source.put("/metrics/job/new", "a 1\n").unwrap()));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("pushed to meanwhile"), "{}", ran.stdout);
    assert_eq!(world.source.groups().unwrap().len(), 1);
    world.drain_all();
}

#[test]
fn a_group_that_is_deleted_by_others_is_gone() {
    let (world, ran) = during_the_copy(|source| drop(source.delete(PATH).unwrap()));
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
    assert_eq!(ran.json().unwrap()["owners"][world.address(&world.owners[0])]["gone"], 1);
}

/// One second is how old a decision may be: whatever takes 200 ms can be done five times on one reading.
#[test]
fn what_rests_on_a_reading_is_done_within_a_second_of_it() {
    let mut world = World::start(1, &[]);
    for index in 0..12 {
        push(&world.source, "PUT", &format!("/metrics/job/j{index}"), "a 1\n");
        push(&world.owners[0], "PUT", &format!("/metrics/job/j{index}"), "a 1\n");
    }
    let before = exposed(&world.source);
    let deleted = Arc::new(Mutex::new(vec![0_usize]));
    let (owner, source) = (world.owners[0].address, world.source.address);
    let readings = Arc::clone(&deleted);
    world.tap(owner, Shift::default(), move |request| {
        if request.path == "/metrics" {
            readings.lock().unwrap().push(0);
        }
    });
    let deletions = Arc::clone(&deleted);
    world.tap(source, Shift::default(), move |request| {
        if request.method == "DELETE" {
            *deletions.lock().unwrap().last_mut().unwrap() += 1;
            thread::sleep(Duration::from_millis(200));
        }
    });
    world.drain_all();
    let deleted = deleted.lock().unwrap();
    assert!(deleted.iter().all(|&batch| batch <= 5), "{deleted:?}");
    assert_eq!(deleted.iter().sum::<usize>(), 12);
    assert_eq!(exposed(&world.owners[0]), before);
}

#[test]
fn an_owner_that_takes_too_long_to_read_gets_nothing() {
    let mut world = World::start(1, &[]);
    push(&world.source, "PUT", PATH, "a 1\n");
    let owner = world.owners[0].address;
    world.tap(owner, Shift::default(), |request| {
        if request.path == "/metrics" {
            thread::sleep(Duration::from_millis(1001));
        }
    });
    let reason = world.kept();
    assert!(reason.contains("a decision may be 1000 ms old"), "{reason}");
    assert!(has(&world.source, &line("a", 1)));
    assert_eq!(world.owners[0].groups().unwrap(), []);
}
