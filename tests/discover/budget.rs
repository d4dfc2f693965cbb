//! `pushring discover` with as many members as a ring can have: its memory, and that it does nothing while nothing changes.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use pushring_harness::etcd::{Version, base64};
use pushring_harness::{Etcd, poll_until};
use serde_json::json;

use crate::etcd::{key, value};
use crate::running::Discover;

/// Heap and stacks, in kB. The code of the release build takes 8 MB more; that of a debug build is larger.
const MAX_ANONYMOUS: u64 = 12 << 10;
/// Time in which nothing changes.
const QUIET: Duration = Duration::from_secs(3);
/// How often the threads may be woken in this time, all together.
const MAX_WAKEUPS: u64 = 20;

fn names() -> Vec<String> {
    (0..1024).map(|n| format!("10.0.{}.{}:9091", n / 250, n % 250 + 1)).collect()
}

/// The work of the process so far, and the last change of a live file.
#[derive(Debug, PartialEq)]
struct Activity {
    wakeups: u64,
    last_change: Option<SystemTime>,
}

impl Activity {
    fn of(discover: &Discover) -> Self {
        let process = format!("/proc/{}", discover.process.id());
        let tasks = fs::read_dir(format!("{process}/task")).unwrap();
        let wakeups = |task: &Path| field(&task.join("status"), "voluntary_ctxt_switches:");
        let live = discover.layout.live();
        let files =
            [live.clone(), live.join(".publish")].into_iter().flat_map(|dir| fs::read_dir(dir).unwrap());
        Self {
            wakeups: tasks.map(|task| wakeups(&task.unwrap().path())).sum(),
            last_change: files.map(|file| file.unwrap().metadata().unwrap().modified().unwrap()).max(),
        }
    }
}

fn field(path: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    value.split_whitespace().next().unwrap().parse().unwrap()
}

/// Drops two members, one after the other, and then looks at the process while nothing changes.
fn fits(source: &[&str], mut drop_last: impl FnMut(&[String])) {
    let mut discover = Discover::start(source);
    let mut names = names();
    let ring = |names: &[String], discover: &Discover| {
        discover.wait_ring(&names.iter().map(String::as_str).collect::<Vec<_>>());
    };
    ring(&names, &discover);
    for _ in 0..2 {
        names.pop();
        drop_last(&names);
        ring(&names, &discover);
    }
    // The last steps of the publication.
    discover.wait_metric("pushring_discover_published_total{result=\"published\"}", 3.0);
    let status = format!("/proc/{}/status", discover.process.id());
    let mut last = Activity::of(&discover);
    poll_until("a quiet process", || {
        thread::sleep(Duration::from_millis(300));
        let now = Activity::of(&discover);
        (now == std::mem::replace(&mut last, Activity::of(&discover))).then_some(())
    })
    .unwrap();
    let anonymous = field(Path::new(&status), "RssAnon:");
    assert!((1..=MAX_ANONYMOUS).contains(&anonymous), "{anonymous} kB");
    let before = Activity::of(&discover);
    thread::sleep(QUIET);
    let after = Activity::of(&discover);
    assert_eq!(after.last_change, before.last_change);
    let wakeups = after.wakeups - before.wakeups;
    assert!(wakeups <= MAX_WAKEUPS, "{wakeups} wakeups in {QUIET:?} in which nothing changed");
}

#[test]
fn a_file_of_1024_members_fits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateways.json");
    let write = |names: &[String]| {
        let new = path.with_extension("new");
        fs::write(&new, json!(names).to_string()).unwrap();
        fs::rename(new, &path).unwrap();
    };
    write(&names());
    fits(&["--from", "file", "--file", path.to_str().unwrap()], write);
}

#[test]
fn keys_of_1024_members_in_etcd_fit() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    let names = names();
    for some in names.chunks(100) {
        let put =
            |one: &String| json!({"request_put": {"key": base64(key(one)), "value": base64(value(one))}});
        etcd.call("kv/txn", &json!({"success": some.iter().map(put).collect::<Vec<_>>()})).unwrap();
    }
    fits(&["--from", "etcd", "--etcd", &etcd.url()], |left| etcd.delete(&key(&names[left.len()])).unwrap());
}
