//! A drain that was killed at any point finishes in the next run, and no family is missing at any moment.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
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

/// Kills a drain before the request after this number of requests; returns whether there was such a request.
fn drain_killed(fixture: &DrainFixture, pid: &AtomicI32, left: &AtomicUsize, requests: usize) -> bool {
    left.store(requests, Ordering::SeqCst);
    pid.store(0, Ordering::SeqCst);
    let mut command = command::command().unwrap();
    let mut child =
        command.args(fixture.args(&[])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    pid.store(child.id() as i32, Ordering::SeqCst);
    let status = child.wait().unwrap();
    assert!(status.code().is_none_or(|code| code == 0), "{status}");
    status.code().is_none()
}

#[test]
fn finishes_in_the_next_run_after_a_kill_at_any_request() {
    let mut fixture = DrainFixture::start(2, &[]);
    let (pid, left) = (Arc::new(AtomicI32::new(0)), Arc::new(AtomicUsize::new(0)));
    let all: Vec<_> =
        std::iter::once(&fixture.source).chain(&fixture.owners).map(|gateway| gateway.address).collect();
    for gateway in all {
        let (pid, left) = (Arc::clone(&pid), Arc::clone(&left));
        fixture.proxy(gateway, Shift::default(), move |_| {
            if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
                let pid = poll_until("its process id", || Pid::from_raw(pid.load(Ordering::SeqCst))).unwrap();
                // Another request may have killed it already.
                let _ = kill_process(pid, Signal::KILL);
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
        let watcher = scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                let quiet = preparing.lock();
                assert_eq!(anywhere(&fixture), before, "a series is missing");
                drop(quiet);
            }
        });
        let mut requests = 0;
        while drain_killed(&fixture, &pid, &left, requests) {
            drain_killed(&fixture, &pid, &left, usize::MAX);
            assert_eq!(fixture.source.groups().unwrap(), [], "after {requests} requests");
            assert_eq!(anywhere(&fixture), before, "after {requests} requests");
            let quiet = preparing.lock();
            fill(&fixture);
            drop(quiet);
            requests += 1;
        }
        ended.store(true, Ordering::SeqCst);
        watcher.join().unwrap();
        requests
    });
    // The drain reads each gateway several times, copies some groups and deletes all of them.
    assert!(kills > 20, "{kills}");
}
