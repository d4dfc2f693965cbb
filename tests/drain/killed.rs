//! A drain that was killed at any point finishes in the next run, and no family is missing at any moment.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pushring_harness::{Shift, Victim, command, poll_until};

use crate::fixture::{DrainFixture, exposed, push};

/// Fills the source with groups built by POST. The owners have parts of two of them and nothing else.
fn fill(fixture: &DrainFixture) {
    let paths = [0, 1, 2, 3].map(|index| format!("/metrics/job/j{index}/instance/i"));
    for path in &paths {
        push(&fixture.source, "POST", path, "a 1\nb 1\n");
        push(&fixture.source, "POST", path, "c 1\n");
    }
    push(&fixture.source, "PUT", "/metrics/job/empty", "");
    for path in paths.iter().map(String::as_str).chain(["/metrics/job/empty"]) {
        push(fixture.owner(path), "DELETE", path, "");
    }
    let empty = || fixture.owners.iter().all(|owner| owner.groups().unwrap().is_empty());
    poll_until("deletions are queued", || empty().then_some(())).unwrap();
    for path in &paths[..2] {
        push(fixture.owner(path), "POST", path, "c 1\n");
    }
}

/// Returns every exposed series. The source is read first, because groups move from it to the others.
fn anywhere(fixture: &DrainFixture) -> BTreeSet<(String, Vec<u8>)> {
    let all = std::iter::once(&fixture.source).chain(&fixture.owners).map(exposed);
    all.flat_map(|all| {
        all.into_iter()
            .flat_map(|(name, (_, _, metrics))| metrics.into_iter().map(move |raw| (name.clone(), raw)))
    })
    .collect()
}

/// Kills a drain before the request after this number of requests; returns whether there was such a request.
fn drain_killed(fixture: &DrainFixture, victim: &Victim, requests: usize) -> bool {
    let mut command = command::command().unwrap();
    command.args(fixture.args(&[]));
    victim.run(command, requests).unwrap()
}

/// Ends the watcher when the test ends, be it by a failure: the scope waits for it.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn finishes_in_the_next_run_after_a_kill_at_any_request() {
    let mut fixture = DrainFixture::start(2, &[]);
    let victim = Victim::default();
    let all: Vec<_> =
        std::iter::once(&fixture.source).chain(&fixture.owners).map(|gateway| gateway.address).collect();
    for gateway in all {
        fixture.proxy(gateway, Shift::default(), victim.hook());
    }
    fill(&fixture);
    let before = anywhere(&fixture);
    // Locked while the next round is prepared.
    let preparing = Mutex::new(());
    let ended = AtomicBool::new(false);
    let kills = thread::scope(|scope| {
        let stopper = SetOnDrop(&ended);
        let watcher = scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                let quiet = preparing.lock();
                assert_eq!(anywhere(&fixture), before, "a series is missing");
                drop(quiet);
            }
        });
        let mut requests = 0;
        while drain_killed(&fixture, &victim, requests) {
            drain_killed(&fixture, &victim, usize::MAX);
            assert_eq!(fixture.source.groups().unwrap(), [], "after {requests} requests");
            assert_eq!(anywhere(&fixture), before, "after {requests} requests");
            let quiet = preparing.lock();
            fill(&fixture);
            drop(quiet);
            requests += 1;
        }
        drop(stopper);
        watcher.join().unwrap();
        requests
    });
    // The drain reads each gateway several times, copies some groups and deletes all of them.
    assert!(kills > 20, "{kills}");
}
