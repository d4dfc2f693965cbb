//! A rolling restart of a StatefulSet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pushring_harness::load::Load;
use pushring_harness::machine::isolated;
use pushring_harness::{Envoy, Mode};

use super::cluster::Cluster;
use super::discover::Discover;
use super::fleet::{Fleet, pod, pods};

/// Every pod comes back with another address. The hold is longer than the 30 s that the guide advises, because a busy
/// machine may need them for one pod of this test.
#[test]
fn a_rolling_restart_moves_and_loses_nothing() {
    isolated("restart::a_rolling_restart_moves_and_loses_nothing", || {
        let cluster = Cluster::start();
        let mut fleet = Fleet::start(&cluster, 5);
        let admin = cluster.dir.path().join("admin.yaml");
        let layout = Discover::once_all(&cluster, Mode::Endpoint, &admin, 5);
        let envoy = Envoy::start(&layout, 2).unwrap();
        let mut discover = Discover::start(&cluster, layout, Some(&envoy), &admin, &["--hold=20m"]);
        discover.wait_ring(&pods(5));
        let load = Load::start(envoy.push, 2);
        let done = AtomicBool::new(false);
        let live = discover.layout.live();
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut rings = 0;
                while !done.load(Ordering::Relaxed) {
                    let names: Vec<_> =
                        super::discover::ring(&live).into_iter().map(|(name, _)| name).collect();
                    assert_eq!(names, pods(5), "a member left the ring, so its groups moved");
                    rings += 1;
                    thread::sleep(Duration::from_millis(5));
                }
                rings
            });
            // As the controller of StatefulSets does: from the last to the first.
            for index in (0..5).rev() {
                fleet.end(&cluster, &pod(index));
                let address = fleet.run(&cluster, &pod(index)).to_string();
                let is_live = || discover.ring()[index].1 == address;
                pushring_harness::poll_until("the new address", || is_live().then_some(())).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            assert!(watcher.join().unwrap() > 0);
        });
        load.stop().assert_none_failed();
        discover.wait_metric("pushring_discover_held", "0");
    });
}
