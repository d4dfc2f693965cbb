//! Faults of etcd: the ring stays, and no change is missed.

use pushring_harness::Etcd;
use pushring_harness::etcd::Version;
use rustix::process::Signal;
use serde_json::json;

use crate::etcd::{FOUR, key, put_all, value};
use crate::running::Discover;

#[test]
fn an_etcd_that_is_away_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    put_all(&etcd, &FOUR);
    let mut discover = Discover::start(&["--from", "etcd", "--etcd", &etcd.url()]);
    discover.wait_ring(&FOUR);
    discover.wait_metric("pushring_discover_source_up", 1.0);
    etcd.process().kill();
    discover.wait_metric("pushring_discover_source_up", 0.0);
    // A start without etcd keeps the last ring, too.
    discover.stop();
    discover.restart();
    discover.wait_log("source away; the ring stays", 2);
    discover.wait_ring(&FOUR);
    etcd.restart().unwrap();
    etcd.delete(&key(FOUR[3])).unwrap();
    discover.wait_ring(&FOUR[..3]);
    discover.wait_metric("pushring_discover_source_up", 1.0);
}

/// Kills etcd under a halted discover, runs `changes` in it after a restart, and lets discover continue.
fn behind_its_back(changes: impl FnOnce(&Etcd)) -> (Discover, Etcd, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    put_all(&etcd, &FOUR);
    let mut discover = Discover::start(&["--from", "etcd", "--etcd", &etcd.url()]);
    discover.wait_ring(&FOUR);
    discover.process.halt().unwrap();
    etcd.process().kill();
    etcd.restart().unwrap();
    changes(&etcd);
    discover.process.signal(Signal::CONT);
    discover.wait_log("source away; the ring stays", 1);
    (discover, etcd, dir)
}

/// A gateway says that it leaves, and is deleted.
fn leave(etcd: &Etcd, gateway: &str) {
    let mut leaving: serde_json::Value = serde_json::from_str(&value(gateway)).unwrap();
    leaving["leaving"] = true.into();
    etcd.put(key(gateway), leaving.to_string()).unwrap();
    etcd.delete(&key(gateway)).unwrap();
}

#[test]
fn a_broken_watch_resumes_and_misses_nothing() {
    let (mut discover, etcd, _dir) = behind_its_back(|etcd| leave(etcd, FOUR[3]));
    discover.wait_ring(&FOUR[..3]);
    // A list would not have shown why it is gone.
    discover.wait_log("left", 1);
    discover.wait_metric("pushring_discover_registered", 3.0);
    leave(&etcd, FOUR[2]);
    discover.wait_metric("pushring_discover_registered", 2.0);
    discover.wait_ring(&FOUR[..2]);
}

#[test]
fn lists_again_after_a_compaction() {
    let (mut discover, etcd, _dir) = behind_its_back(|etcd| {
        leave(etcd, FOUR[3]);
        etcd.put(key("new"), value("10.0.0.9:9091")).unwrap();
        etcd.compact().unwrap();
    });
    discover.wait_ring(&[FOUR[0], FOUR[1], FOUR[2], "10.0.0.9:9091"]);
    discover.wait_metric("pushring_discover_registered", 5.0);
    etcd.delete(&key("new")).unwrap();
    discover.wait_ring(&FOUR[..3]);
}

/// The store was restored from a backup, and other changes brought it to a revision that was seen before.
#[test]
fn a_restored_store_with_another_history_is_listed_again() {
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("backup");
    let mut etcd = Etcd::start(dir.path(), Version::Oldest).unwrap();
    put_all(&etcd, &FOUR[..3]);
    etcd.copy_data(&backup).unwrap();
    put_all(&etcd, &FOUR[3..]);
    let all = dir.path().join("all.json");
    let source = ["--from", "etcd", "--etcd", &etcd.url(), "--file-sd-all", all.to_str().unwrap()];
    let mut discover = Discover::start(&source);
    discover.wait_ring(&FOUR);
    discover.process.halt().unwrap();
    etcd.restart_with(Some(&backup)).unwrap();
    for _ in 0..9 {
        etcd.put("other", "x").unwrap();
    }
    discover.process.signal(Signal::CONT);
    discover.wait_ring(&FOUR[..3]);
    discover.wait_metric("pushring_discover_registered", 4.0);
    assert!(!std::fs::read_to_string(&all).unwrap().contains(FOUR[3]));
    put_all(&etcd, &FOUR[3..]);
    discover.wait_ring(&FOUR);
}

#[test]
fn a_permission_that_was_taken_away_is_no_empty_list() {
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start(dir.path(), Version::Oldest).unwrap();
    put_all(&etcd, &FOUR);
    let token = crate::etcd_secure::enable_auth(&etcd);
    let password = dir.path().join("password");
    std::fs::write(&password, "reads\n").unwrap();
    let mut discover = Discover::start(&[
        "--from",
        "etcd",
        "--etcd",
        &etcd.url(),
        "--etcd-user",
        "reader",
        "--etcd-password-file",
        password.to_str().unwrap(),
    ]);
    discover.wait_ring(&FOUR);
    let range = crate::etcd_secure::service_range();
    let revoked = json!({"role": "reader", "key": range["key"], "range_end": range["range_end"]});
    etcd.call_as(&token, "auth/role/revoke", &revoked).unwrap();
    // The watch that is open would stay; a new one is refused.
    etcd.process().kill();
    etcd.restart().unwrap();
    discover
        .process
        .wait_until("the reason", |process| process.log().contains("permission denied").then_some(()))
        .unwrap();
    discover.wait_metric("pushring_discover_source_up", 0.0);
    discover.wait_ring(&FOUR);
    let token = etcd.token("root", "rules").unwrap();
    let granted = json!({"name": "reader", "perm": range});
    etcd.call_as(&token, "auth/role/grant", &granted).unwrap();
    discover.wait_metric("pushring_discover_source_up", 1.0);
}

#[test]
fn an_etcd_that_hangs_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    put_all(&etcd, &FOUR);
    let mut discover = Discover::start(&["--from", "etcd", "--etcd", &etcd.url()]);
    discover.wait_ring(&FOUR);
    etcd.process().halt().unwrap();
    discover.wait_metric("pushring_discover_source_up", 0.0);
    discover.wait_ring(&FOUR);
    etcd.process().signal(Signal::CONT);
    discover.wait_metric("pushring_discover_source_up", 1.0);
}
