//! Faults of gateways and of the registry.

use crate::fleet::Fleet;

pub(crate) fn killed(fleet: &mut Fleet) {
    let address = fleet.gateways[2].address();
    fleet.gateways[2].server.process.kill();
    fleet.expect(&[("PushringGatewayDown", &address), ("PushringFailover", "10.0.1.1")]);
    fleet.expect(&[
        ("PushringCheckFails", "10.0.0.3:9087"),
        ("PushringMemberOffRing", "10.0.1.1:9088"),
        ("PushringMemberLost", "10.0.1.1:9087"),
    ]);
    fleet.gateways[2].restart();
    fleet.expect_resolved(&[
        "PushringGatewayDown",
        "PushringFailover",
        "PushringCheckFails",
        "PushringMemberOffRing",
        "PushringMemberLost",
    ]);
}

/// The ring is held, so that the sweeper looks for all of them.
pub(crate) fn all_killed(fleet: &mut Fleet) {
    fleet.gateways.iter_mut().for_each(|gateway| gateway.server.process.kill());
    fleet.expect(&[
        ("PushringPushesFail", ""),
        ("PushringGatewayUnreadable", "10.0.1.1:9089"),
        ("PushringRingHeld", "10.0.1.2:9088"),
    ]);
    fleet.gateways.iter_mut().for_each(|gateway| gateway.restart());
    fleet.expect_resolved(&["PushringPushesFail", "PushringGatewayUnreadable", "PushringRingHeld"]);
}

/// Takes two real minutes: the alert compares with a number of seconds.
pub(crate) fn registry(fleet: &mut Fleet) {
    fleet.etcd.kill();
    fleet.expect(&[
        ("PushringSourceDown", "10.0.1.1:9088"),
        ("PushringNotRegistered", "10.0.0.1:9087"),
        ("PushringMembershipStale", "10.0.1.2:9088"),
    ]);
    fleet.restart_etcd();
    fleet.expect_resolved(&["PushringSourceDown", "PushringNotRegistered", "PushringMembershipStale"]);
    fleet.wait_members(3);
}
