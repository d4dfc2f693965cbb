//! The lock of the sweeper in etcd.

use pushring_harness::etcd::{Etcd, Version};
use pushring_harness::poll_until;
use serde_json::json;

use super::fixture::{Sweeper, WatchFixture};

const KEY: &str = "/pushring/pushring-sweep";

fn watch(fixture: &WatchFixture, etcd: &Etcd, name: &str) -> Sweeper {
    fixture.watch(name, &["--settle=0s", "--lock=etcd", "--etcd", &etcd.url()])
}

/// Returns an etcd in which a sweeper has released the lock: without the key, the first one would wait for 15 s.
fn start(fixture: &WatchFixture, version: Version) -> Etcd {
    let etcd = Etcd::start(fixture.dir.path(), version).unwrap();
    etcd.put(KEY, "").unwrap();
    etcd
}

#[test]
fn another_sweeper_takes_over_after_a_crash_and_after_a_stop() {
    let fixture = WatchFixture::start();
    let etcd = start(&fixture, Version::Oldest);
    let mut first = watch(&fixture, &etcd, "first");
    first.wait("pass", 1);
    let mut second = watch(&fixture, &etcd, "second");
    let waiting = second.wait("standing by", 1).remove(0);
    assert_eq!(waiting["holder"], etcd.values(KEY).unwrap()[0].as_str());
    assert!(first.is_active() && !second.is_active());

    first.process.kill();
    fixture.leave_a_copy();
    second.wait("deleted", 1);
    assert_eq!(fixture.counts(), [1, 0]);
    assert!(first.logged("deleted").is_empty());

    let mut third = watch(&fixture, &etcd, "third");
    third.wait("standing by", 1);
    assert_eq!(second.stop(), Some(0), "{}", second.process.tail());
    assert_eq!(second.messages()[second.messages().len() - 2..], ["lock released", "ended"]);
    third.wait("pass", 1);
    // A standby and one that stopped leave no lease behind.
    let leases = etcd.call("lease/leases", &json!({})).unwrap();
    assert_eq!(leases["leases"].as_array().unwrap().len(), 1, "{leases}");
    assert_eq!(third.stop(), Some(0));
    assert_eq!(etcd.values(KEY).unwrap(), [""]);
}

#[test]
fn deletes_nothing_without_the_lock() {
    let fixture = WatchFixture::start();
    let mut etcd = start(&fixture, Version::Newest);
    let mut sweeper = watch(&fixture, &etcd, "sweeper");
    sweeper.wait("pass", 1);
    // The key is gone, as after the end of the lease: it stays free for a while.
    etcd.delete(KEY).unwrap();
    sweeper.wait("lock lost", 1);
    sweeper.wait("lock gained", 2);

    etcd.process().kill();
    sweeper.wait("lock lost", 2);
    poll_until("the sweeper to be inactive", || (!sweeper.is_active()).then_some(())).unwrap();
    fixture.leave_a_copy();
    etcd.restart().unwrap();
    sweeper.wait("deleted", 1);
    assert_eq!(sweeper.logged("lock gained").len(), 3);
    assert_eq!(fixture.counts(), [1, 0]);
}
