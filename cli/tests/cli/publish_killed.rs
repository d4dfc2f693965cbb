//! `publish` killed at any time, and several at once: what is live is always whole, and the ring names live
//! clusters only.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::folders::{Folders, stage};
use pushring::publish::RING_FILE;

const A: &str = "10.0.0.1:9091";
const B: &str = "10.0.0.2:9091";
const C: &str = "10.0.0.3:9091";

/// Rings to go through: members join, leave, and all change at once.
const RINGS: [&[&str]; 4] = [&[A], &[A, B], &[C], &[B, C]];

fn command(folders: &Folders, staged: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushring"));
    command.arg("publish").arg("--staged").arg(staged).arg("--live").arg(folders.live(""));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn killed_at_any_time() {
    let folders = Folders::new();
    folders.stage(RINGS[0], &[]);
    folders.publish();
    // The delay between clusters and ring, so that a kill can fall between them. A grace time that passes now
    // and then.
    let run = || {
        let mut command = command(&folders, &folders.staged());
        command.args(["--delay", "5", "--grace", "20"]);
        command
    };
    folders.stage(RINGS[1], &[]);
    let start = Instant::now();
    assert!(run().status().unwrap().success());
    let whole = start.elapsed();

    let mut seen = BTreeSet::new();
    for n in 0..400_u32 {
        folders.stage(RINGS[n as usize % RINGS.len()], &[]);
        let before = (folders.live_clusters(), folders.live_ring().text);
        let mut child = run().spawn().unwrap();
        thread::sleep(whole * (n % 50) / 40);
        child.kill().unwrap();
        child.wait().unwrap();
        folders.assert_ring_names_live_clusters_only();
        seen.insert((before.0 != folders.live_clusters(), before.1 != folders.live_ring().text));
    }
    // Kills fell before anything moved, between the two moves, and after both.
    for state in [(false, false), (true, false), (true, true)] {
        assert!(seen.contains(&state), "no kill left {state:?}: {seen:?}");
    }
    // And the next one finishes the work.
    folders.stage(RINGS[0], &[]);
    assert!(run().status().unwrap().success());
    assert_eq!(folders.live_ring().config.members.len(), 1);
}

#[test]
fn several_at_once() {
    let folders = Folders::new();
    folders.stage(RINGS[0], &[]);
    folders.publish();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                folders.assert_ring_names_live_clusters_only();
            }
        });
        let writers: Vec<_> = RINGS
            .iter()
            .enumerate()
            .map(|(n, members)| {
                let staged = folders.dir.path().join(n.to_string());
                std::fs::create_dir(&staged).unwrap();
                stage(&staged, members, &[]);
                let folders = &folders;
                scope.spawn(move || {
                    for _ in 0..25 {
                        let status = command(folders, &staged).args(["--delay", "1"]).status().unwrap();
                        assert!(status.success());
                    }
                })
            })
            .collect();
        let results: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
    assert!(folders.live(RING_FILE).exists());
}

/// One that waits for its turn does not read staged files that are old by then.
#[test]
fn a_waiting_publication_reads_after_its_turn_came() {
    let folders = Folders::new();
    folders.stage(RINGS[0], &[]);
    folders.publish();
    let lock = std::fs::File::open(folders.live(".publish/lock")).unwrap();
    lock.lock().unwrap();
    let mut child = command(&folders, &folders.staged()).spawn().unwrap();
    // It may be before or at the lock; it gets no further.
    thread::sleep(Duration::from_millis(50));
    assert!(child.try_wait().unwrap().is_none());
    folders.stage(RINGS[1], &[]);
    lock.unlock().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(folders.live_ring().config.members.len(), RINGS[1].len());
}
