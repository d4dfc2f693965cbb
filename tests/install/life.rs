//! The life of a release under load, from `helm install` to `helm uninstall`.

use std::collections::BTreeMap;

use pushring_harness::machine::isolated;

use super::release::{GATEWAYS, Release};

type Owners = BTreeMap<String, String>;

#[test]
fn no_push_is_lost_from_install_to_uninstall() {
    isolated("life::no_push_is_lost_from_install_to_uninstall", || {
        let release = Release::install();
        release.wait_ring(3);
        let groups = release.during("helm install", |_| ());
        let three = release.assert_on_owners(&groups);
        println!("{} groups on 3 gateways", groups.len());

        let groups = release.during("3 to 5 gateways", |release| scale(release, 5));
        let five = release.assert_on_owners(&groups);
        let moved = moved(&three, &five);
        assert!(!moved.is_empty() && moved.iter().all(|owner| is_new(owner)), "{moved:?}");
        println!("{} groups moved, all to the new gateways", moved.len());

        let once = release.push_once();
        let owners = release.assert_on_owners(&once);
        let leaving = owners.values().filter(|owner| is_new(owner)).count();
        assert!(leaving > 0, "{owners:?}");
        let reason = release.rejected_upgrade(&[DRAIN]);
        assert!(reason.contains("drain.gateways: pod pushring-gateway-3 exists"), "{reason}");
        let groups = release.during("5 to 3 gateways", |release| scale(release, 3));
        assert_eq!(release.assert_on_owners(&groups), three);
        let groups = release.during("drain of both", drain);
        assert_eq!(release.assert_on_owners(&groups), three);
        release.assert_on_owners(&once);
        println!("{leaving} groups of {} without a push moved from the volumes to their owners", once.len());

        let unmoved = |event: &str, act: &dyn Fn(&Release)| {
            let groups = release.during(event, act);
            assert_eq!(release.assert_on_owners(&groups), three, "{event}");
            release.assert_on_owners(&once);
        };
        unmoved("restart of the gateways", &|release| restart(release, &format!("statefulset/{GATEWAYS}")));
        unmoved("restart of Envoy", &|release| restart(release, "deployment/pushring-envoy"));
        unmoved("helm upgrade", &|release| release.helm("upgrade", &["envoy.concurrency=1"]));
        unmoved("helm rollback", &|release| {
            release.helm_with(&["rollback", "pushring"]);
            release.wait_ring(3);
        });
        unmoved("mode cluster", &|release| release.helm("upgrade", &["mode=cluster"]));
        unmoved("mode endpoint", &|release| release.helm("upgrade", &[]));
        release.uninstall();
    });
}

const DRAIN: &str = "drain.gateways={3,4}";

/// Runs the Jobs for both gateways that left, and removes them.
fn drain(release: &Release) {
    release.helm("upgrade", &[DRAIN]);
    let jobs = [3, 4].map(|index| format!("job/{GATEWAYS}-{index}-drain"));
    let wait = ["wait", "--for=condition=complete", "--timeout=10m", &jobs[0], &jobs[1]];
    release.cluster.kubectl(&wait);
    release.helm("upgrade", &[]);
}

fn scale(release: &Release, count: usize) {
    release.helm("upgrade", &[&format!("gateways.replicas={count}")]);
    release.wait_ring(count);
}

fn restart(release: &Release, workload: &str) {
    release.cluster.kubectl(&["rollout", "restart", workload]);
    release.cluster.kubectl(&["rollout", "status", workload, "--timeout=10m"]);
    release.wait_ring(3);
}

/// Returns the new owners of the groups that moved.
fn moved(before: &Owners, after: &Owners) -> Vec<String> {
    after.iter().filter(|(path, owner)| before[*path] != **owner).map(|(_, owner)| owner.clone()).collect()
}

fn is_new(owner: &str) -> bool {
    [3, 4].iter().any(|index| owner == format!("{GATEWAYS}-{index}"))
}
