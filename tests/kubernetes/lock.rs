//! The lock of the sweeper in a Lease.

use pushring_harness::machine::isolated;
use pushring_harness::poll_until;
use rustix::process::Signal;
use serde_json::json;

use super::cluster::Cluster;
use super::sweepers::{Sweeper, WatchFixture};

fn watch(fixture: &WatchFixture, cluster: &Cluster, name: &str) -> Sweeper {
    let (kubeconfig, _) = cluster.account("sweeper");
    let kubeconfig = kubeconfig.to_str().unwrap();
    fixture.watch(name, &["--settle=0s", "--lock=kubernetes", "--kubeconfig", kubeconfig])
}

/// Grants the rights that docs/command/sweep.md names, and nothing else.
fn grant(cluster: &Cluster) {
    cluster.kubectl(&[
        "create",
        "role",
        "sweeper",
        "--verb=get,create,update",
        "--resource=leases.coordination.k8s.io",
    ]);
    cluster.kubectl(&[
        "create",
        "rolebinding",
        "sweeper",
        "--role=sweeper",
        "--serviceaccount=monitoring:sweeper",
    ]);
}

fn holder(cluster: &Cluster) -> String {
    cluster.kubectl(&["get", "lease", "pushring-sweep", "-o", "jsonpath={.spec.holderIdentity}"])
}

#[test]
fn one_sweeper_works_at_a_time() {
    isolated("lock::one_sweeper_works_at_a_time", || {
        let mut cluster = Cluster::start();
        let fixture = WatchFixture::start();
        let mut first = watch(&fixture, &cluster, "first");
        let event = first.wait("cannot renew or acquire the lock", 1).remove(0);
        assert!(event["error"].as_str().unwrap().contains("403"), "{event}");
        assert!(!first.is_active());
        grant(&cluster);
        first.wait("lock gained", 1);
        first.wait("pass", 1);
        assert!(first.is_active());

        let mut second = watch(&fixture, &cluster, "second");
        let waiting = second.wait("standing by", 1).remove(0);
        assert_eq!(waiting["holder"], holder(&cluster).as_str());
        assert!(!second.is_active());

        // After a crash, the other one takes over when the Lease did not change for its duration.
        first.process.kill();
        fixture.leave_a_copy();
        second.wait("deleted", 1);
        assert_eq!(fixture.counts(), [1, 0]);
        assert!(first.logged("deleted").is_empty());

        // After a stop, at once.
        let mut third = watch(&fixture, &cluster, "third");
        third.wait("standing by", 1);
        assert_eq!(second.stop(), Some(0), "{}", second.process.tail());
        assert_eq!(second.messages()[second.messages().len() - 2..], ["lock released", "ended"]);
        third.wait("lock gained", 1);
        third.wait("pass", 1);

        // Without the API server, nothing is deleted.
        cluster.servers.api.kill();
        third.wait("lock lost", 1);
        poll_until("the third to be inactive", || (!third.is_active()).then_some(())).unwrap();
        fixture.leave_a_copy();
        cluster.servers.restart_api().unwrap();
        third.wait("lock gained", 2);
        third.wait("deleted", 1);

        // Another holder ends the work at once.
        let taken = json!({"spec": {"holderIdentity": "someone", "leaseDurationSeconds": 15}});
        cluster.kubectl(&["patch", "lease", "pushring-sweep", "--type=merge", "-p", &taken.to_string()]);
        third.wait("lock lost", 2);
        third.wait("lock gained", 3);
        third.process.signal(Signal::TERM);
        poll_until("the lock to be released", || holder(&cluster).is_empty().then_some(())).unwrap();
    });
}
