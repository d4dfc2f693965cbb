//! `publish` killed at every point, and several at once: what is live is always whole, and the ring names live clusters
//! only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::folders::{Folders, registrations};

const A: &str = "10.0.0.1:9091";
const B: &str = "10.0.0.2:9091";
const C: &str = "10.0.0.3:9091";

/// Rings to publish in turn: members join, leave, and all change at once.
const RINGS: [&[&str]; 4] = [&[A], &[A, B], &[C], &[B, C]];

/// Every point at which a publication can pause: around each change of the disk.
const POINTS: [&str; 8] = [
    "locked",
    "written-departed.json",
    "moved-departed.json",
    "written-clusters.yaml",
    "moved-clusters.yaml",
    "listed",
    "written-ring.yaml",
    "moved-ring.yaml",
];

/// A publication without any wait.
fn command(folders: &Folders, registrations: &Path, grace: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushring"));
    command.arg("publish").arg("--registrations").arg(registrations);
    command.arg("--settings").arg(folders.settings_file()).arg("--live").arg(folders.live(""));
    command.args(["--delay", "0s", "--grace", grace]).stdout(Stdio::null());
    command
}

/// Starts a publication that pauses at `point`. `None`: it ended without coming there.
fn start_paused(folders: &Folders, point: &str) -> Option<Child> {
    let mut command = command(folders, &folders.registrations(), "1ms");
    let mut child = command.env("PUSHRING_PAUSE_AT", point).spawn().unwrap();
    loop {
        if folders.live(".publish/paused").exists() {
            return Some(child);
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn killed_at_every_point() {
    let folders = Folders::new();
    folders.register(RINGS[0], &[]);
    folders.publish();
    let mut seen: BTreeMap<&str, BTreeSet<(bool, bool)>> = BTreeMap::new();
    for point in POINTS {
        for ring in RINGS {
            folders.register(ring, &[]);
            let before = (folders.live_clusters(), folders.live_ring().text);
            if let Some(mut child) = start_paused(&folders, point) {
                child.kill().unwrap();
                child.wait().unwrap();
                fs::remove_file(folders.live(".publish/paused")).unwrap();
                folders.assert_ring_names_live_clusters_only();
                let changed = (before.0 != folders.live_clusters(), before.1 != folders.live_ring().text);
                seen.entry(point).or_default().insert(changed);
            }
            // The next publication finishes the work.
            assert!(command(&folders, &folders.registrations(), "1ms").status().unwrap().success());
            folders.assert_ring_names_live_clusters_only();
            let live: Vec<_> =
                folders.live_ring().config.members.into_iter().map(|member| member.name).collect();
            assert_eq!(live, ring, "killed at {point}");
        }
    }
    assert_eq!(seen.keys().copied().collect::<BTreeSet<_>>(), POINTS.into_iter().collect(), "never reached");
    // Kills fell before anything moved, between the two moves, and after both.
    assert!(seen["locked"].contains(&(false, false)) && seen["locked"].len() == 1, "{seen:?}");
    assert!(seen["moved-clusters.yaml"].contains(&(true, false)), "{seen:?}");
    assert!(seen["moved-ring.yaml"].contains(&(true, true)), "{seen:?}");
}

/// Kills that fall anywhere, where exactly depends on the machine: no claim about that.
#[test]
fn killed_at_random() {
    let folders = Folders::new();
    folders.register(RINGS[0], &[]);
    folders.publish();
    for n in 0..40_u32 {
        folders.register(RINGS[n as usize % RINGS.len()], &[]);
        let mut child = command(&folders, &folders.registrations(), "1ms").spawn().unwrap();
        thread::sleep(Duration::from_micros(u64::from(n * 7919 % 40) * 500));
        child.kill().unwrap();
        child.wait().unwrap();
        folders.assert_ring_names_live_clusters_only();
    }
    folders.register(RINGS[0], &[]);
    assert!(command(&folders, &folders.registrations(), "1ms").status().unwrap().success());
    assert_eq!(folders.live_ring().config.members.len(), 1);
}

#[test]
fn several_at_once() {
    let folders = Folders::new();
    folders.register(RINGS[0], &[]);
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
                let file = folders.registrations().with_extension(n.to_string());
                fs::write(&file, registrations(members, &[])).unwrap();
                let folders = &folders;
                scope.spawn(move || {
                    for _ in 0..25 {
                        // A grace time that a reader of the ring and then of the clusters never outlasts.
                        assert!(command(folders, &file, "1h").status().unwrap().success());
                    }
                })
            })
            .collect();
        let results: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
}

/// A publication that had to wait must not publish what it would have read before.
#[test]
fn registrations_are_read_after_the_wait_for_the_lock() {
    let folders = Folders::new();
    folders.register(RINGS[0], &[]);
    folders.publish();
    let mut child = start_paused(&folders, "locked").unwrap();
    folders.register(RINGS[1], &[]);
    fs::remove_file(folders.live(".publish/paused")).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(folders.live_ring().config.members.len(), RINGS[1].len());
}

/// Only one publication has the lock.
#[test]
fn a_second_publication_waits_for_the_first() {
    let folders = Folders::new();
    folders.register(RINGS[0], &[]);
    folders.publish();
    let mut first = start_paused(&folders, "moved-clusters.yaml");
    assert!(first.is_none(), "nothing to move");
    folders.register(RINGS[1], &[]);
    first = start_paused(&folders, "moved-clusters.yaml");
    let lock = fs::File::open(folders.live(".publish/lock")).unwrap();
    assert!(matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)));
    fs::remove_file(folders.live(".publish/paused")).unwrap();
    assert!(first.unwrap().wait().unwrap().success());
    lock.try_lock().unwrap();
}
