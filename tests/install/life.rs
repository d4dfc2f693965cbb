//! The life of a release under load, from `helm install` to `helm uninstall`.

use std::collections::BTreeMap;

use pushring_harness::machine::isolated;

use super::release::{GATEWAYS, Release};

type Owners = BTreeMap<String, String>;

/// The hold is longer than the default, because a busy machine may need a minute for the restart of one pod.
const VALUES: [&str; 1] = ["discover.hold=20m"];

#[test]
fn no_push_is_lost_from_install_to_uninstall() {
    isolated("life::no_push_is_lost_from_install_to_uninstall", || {
        let release = Release::install(&VALUES);
        release.wait_ring(3);
        let groups = release.during("helm install", |_| ());
        let three = release.assert_on_owners(&groups);
        println!("{} groups on 3 gateways", groups.len());

        let groups = release.during("3 to 5 gateways", |release| scale(release, 5));
        let five = release.assert_on_owners(&groups);
        let moved = moved(&three, &five);
        assert!(!moved.is_empty() && moved.iter().all(|owner| is_new(owner)), "{moved:?}");
        println!("{} groups moved, all to the new gateways", moved.len());

        let groups = release.during("5 to 3 gateways", |release| scale(release, 3));
        assert_eq!(release.assert_on_owners(&groups), three);

        let unmoved = |event: &str, act: &dyn Fn(&Release)| {
            let groups = release.during(event, act);
            assert_eq!(release.assert_on_owners(&groups), three, "{event}");
        };
        unmoved("restart of the gateways", &|release| restart(release, &format!("statefulset/{GATEWAYS}")));
        unmoved("restart of Envoy", &|release| restart(release, "deployment/pushring-envoy"));
        unmoved("helm upgrade", &|release| release.helm("upgrade", &[VALUES[0], "envoy.concurrency=1"]));
        unmoved("helm rollback", &|release| {
            release.helm_with(&["rollback", "pushring"]);
            release.wait_ring(3);
        });
        unmoved("mode cluster", &|release| release.helm("upgrade", &[VALUES[0], "mode=cluster"]));
        unmoved("mode endpoint", &|release| release.helm("upgrade", &VALUES));
        release.uninstall();
    });
}

fn scale(release: &Release, count: usize) {
    let replicas = format!("gateways.replicas={count}");
    release.helm("upgrade", &[VALUES[0], &replicas]);
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
