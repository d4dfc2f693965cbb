//! Setting `mirror`: a copy of each push on the first successor of its owner, the replica of the group. Real Envoy with the
//! shipped files, real Pushgateways.

mod bodies;
mod failures;
mod placement;
mod settings;

use std::collections::BTreeSet;

use pushring_harness::{EnvoyFixture, Mode, poll_until};

/// Starts the shipped files with this mirror.
fn fleet(mode: Mode, gateways: usize, mirror: &str) -> EnvoyFixture {
    EnvoyFixture::with(mode, gateways, |config| config["mirror"] = mirror.into())
}

/// Publishes another mirror, and waits until it is in force.
fn set_mirror(fleet: &mut EnvoyFixture, mirror: &str) {
    fleet.config["mirror"] = mirror.into();
    fleet.layout.write(&fleet.config).unwrap();
    poll_until(&format!("mirror {mirror}"), || {
        (fleet.envoy.status().unwrap()["mirror"] == mirror).then_some(())
    })
    .unwrap();
}

/// Waits until exactly these gateways store the job. Envoy sends a copy in parallel, so it may arrive after the answer.
fn wait_holders(fleet: &EnvoyFixture, job: &str, expected: &[usize]) {
    let expected: BTreeSet<usize> = expected.iter().copied().collect();
    poll_until(&format!("{}: job {job} on {expected:?}", fleet.layout.mode()), || {
        let holders = fleet.holders();
        let found = holders.into_iter().find(|(group, _)| group["job"] == job);
        (found.map(|(_, holders)| holders).unwrap_or_default() == expected).then_some(())
    })
    .unwrap();
}

/// Waits until the gateways have got exactly these numbers of requests.
fn wait_requests(fleet: &EnvoyFixture, expected: &[u64]) {
    poll_until(&format!("{}: requests {expected:?}", fleet.layout.mode()), || {
        (fleet.requests() == expected).then_some(())
    })
    .unwrap();
}
