//! A rolling restart of a StatefulSet.

use pushring_harness::machine::isolated;
use pushring_harness::{Mode, Witness, poll_until};

use super::cluster::Cluster;
use super::discover::Discover;
use super::fleet::{Fleet, pod};

/// Every pod comes back with another address. The hold is longer than the 30 s that the guide advises, because a busy
/// machine may need them for one pod of this test.
#[test]
fn a_rolling_restart_moves_and_loses_nothing() {
    isolated("restart::a_rolling_restart_moves_and_loses_nothing", || {
        let cluster = Cluster::start();
        let mut fleet = Fleet::start(&cluster, 5);
        let (discover, envoy) = Discover::with_envoy(&cluster, Mode::Endpoint, 5, &["--hold=20m"]);
        let witness = Witness::start(&envoy, &discover.layout.live());
        // As the controller of StatefulSets does: from the last to the first.
        for index in (0..5).rev() {
            fleet.end(&cluster, &pod(index));
            let address = fleet.run(&cluster, &pod(index)).to_string();
            let is_live = || discover.ring()[index].1 == address;
            poll_until("the new address", || is_live().then_some(())).unwrap();
        }
        witness.end_unmoved();
        discover.wait_metric("pushring_discover_registered", "5");
        discover.wait_metric("pushring_discover_held", "0");
    });
}
