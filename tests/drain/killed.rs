//! A drain that was killed at any point finishes in the next run, and no family is missing at any moment.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use pushring_harness::{Shift, command, poll_until};
use rustix::process::{Pid, Signal, kill_process};

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

/// A drain, and the number of its requests that are forwarded before it is killed.
#[derive(Default)]
struct Victim {
    /// `None` while no drain runs: a request that arrives then comes from a drain that is dead.
    pid: Option<Pid>,
    left: usize,
}

impl Victim {
    /// Counts one request, or kills the drain if none is left. Returns whether to forward the request.
    fn may_send(&mut self) -> bool {
        let Some(pid) = self.pid else { return false };
        let left = self.left.checked_sub(1);
        match left {
            Some(left) => self.left = left,
            // Another request may have killed it already.
            None => drop(kill_process(pid, Signal::KILL)),
        }
        left.is_some()
    }
}

/// Kills a drain before the request after this number of requests; returns whether there was such a request.
fn drain_killed(fixture: &DrainFixture, victim: &Mutex<Victim>, requests: usize) -> bool {
    let mut child = {
        // Its first request waits until its process id is known.
        let mut victim = victim.lock().unwrap();
        let mut command = command::command().unwrap();
        let child =
            command.args(fixture.args(&[])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        *victim = Victim { pid: Some(Pid::from_child(&child)), left: requests };
        child
    };
    let status = child.wait().unwrap();
    victim.lock().unwrap().pid = None;
    assert!(status.code().is_none_or(|code| code == 0), "{status}");
    status.code().is_none()
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
    let victim = Arc::new(Mutex::new(Victim::default()));
    let all: Vec<_> =
        std::iter::once(&fixture.source).chain(&fixture.owners).map(|gateway| gateway.address).collect();
    for gateway in all {
        let victim = Arc::clone(&victim);
        fixture.proxy(gateway, Shift::default(), move |_| {
            if !victim.lock().unwrap().may_send() {
                // This request is never forwarded.
                loop {
                    thread::park();
                }
            }
        });
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
