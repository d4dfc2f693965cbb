//! Containers that are killed and pods that are deleted, under load.
//!
//! A client pushes each group again and again, so it also pushes a group whose push failed.

use pushring_harness::machine::isolated;

use super::release::{GATEWAYS, PUSH, Release};
use super::traffic::Failed;

#[test]
fn killed_containers_and_deleted_pods_lose_no_push() {
    isolated("faults::killed_containers_and_deleted_pods_lose_no_push", || {
        let release = Release::install();
        release.wait_ring(3);
        // Nothing pushes them again: after a fault, they come from a volume.
        let once = release.push_once();
        let before = release.assert_on_owners(&once);
        let fault = |event: &str, broken: bool, act: &dyn Fn(&Release)| {
            let act = |release: &Release| {
                act(release);
                release.wait_ring(3);
            };
            let seen = release.during_any(event, act);
            let groups = if broken { seen.assert_none_lost() } else { seen.assert_all_accepted() };
            release.assert_on_owners(&groups);
            assert_eq!(release.assert_on_owners(&once), before, "{event}");
        };

        // The connections of a killed Envoy break; their clients push again, by the other one.
        fault("Envoy killed", true, &|release| release.cluster.kill(&envoy(release), "envoy"));
        fault("Envoy's pod deleted", false, &|release| delete(release, &envoy(release), &[]));

        // In mode endpoint, the next gateway takes a push whose gateway fails, without a word to the client.
        let gateway = format!("{GATEWAYS}-1");
        fault("gateway killed", false, &|release| release.cluster.kill(&gateway, "pushgateway"));
        for (event, flags) in [
            ("gateway's pod deleted", &[][..]),
            ("gateway's pod lost with its node", &["--grace-period=0", "--force"][..]),
        ] {
            fault(event, false, &|release| {
                let old = release.gateways()[&gateway];
                delete(release, &gateway, flags);
                let rollout = ["rollout", "status", &format!("statefulset/{GATEWAYS}"), "--timeout=10m"];
                release.cluster.kubectl(&rollout);
                release.wait_ring(3);
                assert_ne!(release.gateways()[&gateway], old, "the new pod has another address");
            });
        }

        // In mode cluster, pushes to that gateway fail until it is back, and no others.
        release.helm("upgrade", &["mode=cluster"]);
        let seen = release.during_any("gateway killed in mode cluster", |release| {
            release.cluster.kill(&gateway, "pushgateway");
            release.wait_ring(3);
        });
        let owners = release.owners(&seen.last);
        assert!(!seen.failed.is_empty() && seen.broken.is_empty(), "{:?}", seen.broken);
        let expected = |push: &&Failed| push.answer.starts_with("503 ") && owners[&push.path] == gateway;
        let other = seen.failed.iter().find(|push| !expected(push));
        assert!(other.is_none(), "{other:?}");
        release.assert_on_owners(&seen.last);
        assert_eq!(release.assert_on_owners(&once), before);
    });
}

fn envoy(release: &Release) -> String {
    release.cluster.ready(PUSH).into_keys().next().expect("an Envoy")
}

fn delete(release: &Release, pod: &str, flags: &[&str]) {
    let delete: Vec<&str> = ["delete", "pod", pod].iter().chain(flags).copied().collect();
    release.cluster.kubectl(&delete);
}
