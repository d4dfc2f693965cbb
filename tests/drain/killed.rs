//! Killed at any point and run again, a drain finishes, and no family is missing at any moment.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use pushring_harness::{Shift, command, poll_until};
use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{DrainFixture, exposed, push};

/// Groups built by POST on the source, two of them already in part at their owners, and nothing else there.
fn fill(world: &DrainFixture) {
    let paths = [0, 1, 2, 3].map(|index| format!("/metrics/job/j{index}/instance/i"));
    for path in &paths {
        push(&world.source, "POST", path, "a 1\nb 1\n");
        push(&world.source, "POST", path, "c 1\n");
    }
    push(&world.source, "PUT", "/metrics/job/empty", "");
    for path in paths.iter().map(String::as_str).chain(["/metrics/job/empty"]) {
        push(world.owner(path), "DELETE", path, "");
    }
    let empty = || world.owners.iter().all(|owner| owner.groups().unwrap().is_empty());
    poll_until("deletions are queued", || empty().then_some(())).unwrap();
    for path in &paths[..2] {
        push(world.owner(path), "POST", path, "c 1\n");
    }
}

/// Every series that is exposed somewhere; the source is read first, because groups go from it to the others.
fn anywhere(world: &DrainFixture) -> BTreeSet<(String, Vec<u8>)> {
    let all = std::iter::once(&world.source).chain(&world.owners).map(exposed);
    all.flat_map(|all| {
        all.into_iter()
            .flat_map(|(name, (_, _, metrics))| metrics.into_iter().map(move |raw| (name.clone(), raw)))
    })
    .collect()
}

/// Kills the drain when it has made so many requests, before the next one; whether it came to that.
fn drain_killed(world: &DrainFixture, pid: &AtomicI32, left: &AtomicUsize, requests: usize) -> bool {
    left.store(requests, Ordering::SeqCst);
    pid.store(0, Ordering::SeqCst);
    let mut command = command::command().unwrap();
    let mut child =
        command.args(world.args(&[])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    pid.store(child.id() as i32, Ordering::SeqCst);
    let status = child.wait().unwrap();
    assert!(status.code().is_none_or(|code| code == 0), "{status}");
    status.code().is_none()
}

#[test]
fn killed_after_any_number_of_requests_it_finishes_in_the_next_run() {
    let mut world = DrainFixture::start(2, &[]);
    let (pid, left) = (Arc::new(AtomicI32::new(0)), Arc::new(AtomicUsize::new(0)));
    let all: Vec<_> =
        std::iter::once(&world.source).chain(&world.owners).map(|gateway| gateway.address).collect();
    for gateway in all {
        let (pid, left) = (Arc::clone(&pid), Arc::clone(&left));
        world.proxy(gateway, Shift::default(), move |_| {
            if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
                let pid = poll_until("its process id", || Pid::from_raw(pid.load(Ordering::SeqCst))).unwrap();
                // It may have been killed by another request already.
                let _ = kill_process(pid, Signal::KILL);
                // This request never arrives.
                loop {
                    thread::park();
                }
            }
        });
    }
    fill(&world);
    let before = anywhere(&world);
    // Held while the next round is prepared.
    let preparing = Mutex::new(());
    let ended = AtomicBool::new(false);
    let kills = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                let quiet = preparing.lock();
                assert_eq!(anywhere(&world), before, "a series is missing");
                drop(quiet);
            }
        });
        let mut requests = 0;
        while drain_killed(&world, &pid, &left, requests) {
            drain_killed(&world, &pid, &left, usize::MAX);
            assert_eq!(world.source.groups().unwrap(), [], "after {requests} requests");
            assert_eq!(anywhere(&world), before, "after {requests} requests");
            let quiet = preparing.lock();
            fill(&world);
            drop(quiet);
            requests += 1;
        }
        ended.store(true, Ordering::SeqCst);
        watcher.join().unwrap();
        requests
    });
    // Three readings, of each owner several, some copies and as many deletions.
    assert!(kills > 20, "{kills}");
}
