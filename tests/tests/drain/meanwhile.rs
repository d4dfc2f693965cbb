//! What changes while it is drained: left to the next run, never lost.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pushring_tests::http::Client;
use pushring_tests::tap::{Passing, Shift};
use pushring_tests::{Pushgateway, poll_until, tools};
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, exposed, has, push};

const PATH: &str = "/metrics/job/j";

fn line(name: &str, value: u32) -> String {
    format!("{name}{{instance=\"\",job=\"j\"}} {value}")
}

/// A hook that acts on the n-th request of that sort, with a client of the source.
fn at(
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

#[test]
fn a_group_that_is_pushed_to_while_it_is_read_is_carried_whole() {
    for path in ["/api/v1/metrics", "/metrics"] {
        let mut world = World::start(1, &[]);
        push(&world.source, "PUT", PATH, "a 1\n");
        let source = world.source.address;
        // Both are read at the same time, so one of them may show it and the other not.
        let hook = at(1, "GET", path, &world.source, |source| {
            source.post(PATH, "b 1\n").unwrap();
        });
        world.tap(source, Shift::default(), hook);
        let ran = world.drain(&[]);
        let left = !world.source.groups().unwrap().is_empty();
        assert_eq!(ran.code == 1, left, "{}", ran.stdout);
        world.drain_all();
        assert!(has(&world.owners[0], &line("a", 1)) && has(&world.owners[0], &line("b", 1)));
    }
}

/// What the source gets while the copy is on its way; the world, and what the first drain said.
fn during_the_copy(act: impl Fn(&Client) + Send + Sync + 'static) -> (World, pushring_tests::command::Ran) {
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

#[test]
fn an_owner_that_restarts_has_to_be_looked_at_anew() {
    let mut world = World::start(1, &[]);
    push(&world.source, "PUT", PATH, "a 1\n");
    let owner = world.owners[0].address;
    let dir = world.dir.path().to_owned();
    let first = Mutex::new(Some(world.owners.remove(0)));
    let second = Arc::new(Mutex::new(None));
    let started = Arc::clone(&second);
    let hook = at(1, "POST", "/metrics", &world.source, move |_| {
        drop(first.lock().unwrap().take());
        *started.lock().unwrap() = Some(Pushgateway::start_at(&dir, owner, &[]).unwrap());
    });
    world.tap(owner, Shift::default(), hook);
    let config = world.write(&serde_json::json!({"members": [world.taps[&owner].to_string()]}));
    let args =
        ["drain", &world.source.address.to_string(), "--settle=0s", "--config", config.to_str().unwrap()];
    let ran = pushring_tests::command::pushring(args).unwrap();
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("restarted"), "{}", ran.stdout);
    assert!(has(&world.source, &line("a", 1)));
    drop(second);
}

#[test]
fn an_owner_that_is_pushed_to_while_it_is_read_keeps_the_push() {
    let mut world = World::start(1, &[]);
    push(&world.source, "PUT", PATH, "m{x=\"1\"} 1\n");
    let (owner, source) = (world.owners[0].address, world.source.address);
    world.tap(source, Shift { age: 60, ..Shift::default() }, |_| {});
    let (told, client) = (AtomicUsize::new(0), Mutex::new(world.owners[0].client().unwrap()));
    world.tap(owner, Shift::default(), move |request| match request.path.as_str() {
        "/api/v1/metrics" => drop(told.fetch_add(1, Ordering::SeqCst)),
        "/metrics" if told.load(Ordering::SeqCst) <= 1 => {
            poll_until("the API is read", || (told.load(Ordering::SeqCst) == 1).then_some(())).unwrap();
            // Time for its answer, which then does not know the push. If it takes longer, it knows, and all is well.
            thread::sleep(Duration::from_millis(300));
            client.lock().unwrap().put(PATH, "m{x=\"2\"} 2\n").unwrap();
        }
        _ => {}
    });
    world.drain_all();
    assert!(has(&world.owners[0], "m{instance=\"\",job=\"j\",x=\"2\"} 2"));
}

#[test]
fn it_stops_when_the_members_change() {
    let mut world = World::start(1, &[]);
    push(&world.source, "PUT", PATH, "a 1\n");
    let (owner, source) = (world.owners[0].address, world.source.address);
    let config = world.config();
    // The gateway is back on the ring, and owns what is being copied.
    let hook = at(1, "POST", "/metrics", &world.source, move |_| {
        std::fs::write(&config, format!(r#"{{"members": ["{source}"]}}"#)).unwrap();
    });
    world.tap(owner, Shift::default(), hook);
    let reason = world.kept();
    assert!(reason.contains("members or settings changed"), "{reason}");
    assert!(has(&world.source, &line("a", 1)));
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
        if request.path.starts_with("/api/v1/metrics") {
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
        if request.path.starts_with("/api/v1/metrics") {
            thread::sleep(Duration::from_millis(1001));
        }
    });
    let reason = world.kept();
    assert!(reason.contains("a decision may be 1000 ms old"), "{reason}");
    assert!(has(&world.source, &line("a", 1)));
    assert_eq!(world.owners[0].groups().unwrap(), []);
}

#[test]
fn ctrl_c_ends_after_the_request_under_way() {
    let mut world = World::start(1, &[]);
    for index in 0..5 {
        push(&world.source, "PUT", &format!("/metrics/job/j{index}"), "a 1\n");
    }
    let before = exposed(&world.source);
    let pid = Arc::new(AtomicI32::new(0));
    let interrupted = Arc::clone(&pid);
    let owner = world.owners[0].address;
    let hook = at(3, "POST", "/metrics", &world.source, move |_| {
        let pid =
            poll_until("its process id", || Pid::from_raw(interrupted.load(Ordering::Relaxed))).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    });
    world.tap(owner, Shift::default(), hook);
    let mut command = Command::new(tools::pushring().unwrap());
    let child = command.args(world.args(&[])).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    pid.store(child.id() as i32, Ordering::Relaxed);
    let output = child.wait_with_output().unwrap();
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told} {said}");
    assert!(
        told.contains("\"interrupted\":true") && said.contains("the same command goes on"),
        "{told} {said}"
    );
    assert_eq!(exposed(&world.source), before);
    assert_eq!(world.owners[0].groups().unwrap().len(), 3);
    world.drain_all();
    assert_eq!(world.owned(), before);
}
