//! A rolling restart of gateways whose agents stay. The suite `kubernetes` has that of a StatefulSet.

use pushring_harness::etcd::Version;
use pushring_harness::{Etcd, Mode, poll_until};
use rustix::process::Signal;

use crate::agent::Agent;
use crate::running::Discover;
use crate::scene::watch;

/// The hold is longer than the 30 s that the guide advises, because a busy machine may need them for one gateway.
#[test]
fn a_rolling_restart_moves_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    let url = etcd.url();
    let mut agents = [(); 5].map(|()| Agent::start(&["--etcd", &url]));
    let wait_keys = |count| {
        let keys = || etcd.values("/service/pushgateway/").unwrap().len();
        poll_until(&format!("{count} keys"), || (keys() == count).then_some(())).unwrap();
    };
    wait_keys(5);
    let names = agents.each_ref().map(|agent| agent.gateway.address.to_string());
    let names = names.each_ref().map(String::as_str);
    let mut discover =
        Discover::with_envoy(Mode::Endpoint, &["--from", "etcd", "--etcd", &url, "--hold", "20m"]);
    discover.envoy.as_ref().unwrap().wait_members(&names).unwrap();
    let witness = watch(&discover);
    for (number, agent) in agents.iter_mut().enumerate() {
        agent.gateway.process.stop(Signal::TERM).unwrap();
        discover.wait_log("vanished; counts as registered (--forget)", number + 1);
        wait_keys(4);
        agent.restart_gateway();
        wait_keys(5);
    }
    witness.end_unmoved();
    discover.wait_metric("pushring_discover_held", 0.0);
    discover.wait_metric("pushring_discover_registered", 5.0);
    discover.wait_metric("pushring_discover_on_ring", 5.0);
    discover.stop();
}
