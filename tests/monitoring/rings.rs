//! Faults of a ring file, of `pushring discover` and of an Envoy.

use std::fs;
use std::time::Duration;

use regex::Regex;
use rustix::process::Signal;

use crate::fleet::Fleet;
use crate::load::{Repeat, post};

/// The commands of the runbook mend it.
pub(crate) fn broken(fleet: &mut Fleet) {
    let envoy = &fleet.ingress[0];
    envoy.write_live("ring.yaml", &envoy.live("ring.yaml").replace("\"endpoint\"", "\"nonsense\""));
    fleet.expect(&[("PushringRingRefused", "10.0.1.1:9087")]);
    fleet.expect_resolved(&["PushringRingRefused"]);
}

pub(crate) fn unwritable(fleet: &mut Fleet) {
    let live = fleet.ingress[0].folder.join("live");
    let away = live.with_extension("away");
    fs::rename(&live, &away).unwrap();
    fleet.add_gateway(4);
    fleet.expect(&[("PushringPublishFails", "10.0.1.1:9088")]);
    fs::rename(&away, &live).unwrap();
    fleet.wait_members(4);
    fleet.expect_resolved(&["PushringPublishFails"]);
}

/// Both gateways that came leave at the end.
pub(crate) fn missed(fleet: &mut Fleet) {
    fleet.ingress[0].discover.kill();
    fleet.add_gateway(5);
    fleet.ingress[1].wait_members(5);
    fleet.expect(&[
        ("PushringDiscoverDown", "10.0.1.1:9088"),
        ("PushringEnvoysDisagree", "10.0.1.1:9087"),
        ("PushringEnvoyBehind", "10.0.1.1:9087"),
    ]);
    fleet.ingress[0].restart_discover();
    fleet.wait_members(5);
    for left in [4, 3] {
        fleet.gateways.pop().unwrap().leave();
        fleet.wait_members(left);
    }
    fleet.expect_resolved(&["PushringDiscoverDown", "PushringEnvoysDisagree", "PushringEnvoyBehind"]);
}

/// The filter needs a host call that the file does not allow. The commands of the runbook mend it.
pub(crate) fn crash(fleet: &mut Fleet) {
    let envoy = &fleet.ingress[0];
    envoy.write_live(
        "ring.yaml",
        &envoy.live("ring.yaml").replace("          proxy_get_header_map_value: {}\n", ""),
    );
    fleet.expect(&[("PushringFilterCrashed", "10.0.1.1:9087")]);
    fleet.expect_resolved(&["PushringFilterCrashed"]);
}

/// As at the first start of a fleet.
pub(crate) fn empty(fleet: &mut Fleet) {
    let envoy = &mut fleet.ingress[1];
    envoy.envoy.kill();
    fleet.expect(&[("PushringEnvoyDown", "10.0.1.2:9087")]);
    let envoy = &mut fleet.ingress[1];
    let ring = envoy.live("ring.yaml");
    let members = Regex::new(r#""members":\s*\[[^\]]*\]"#).unwrap().replace(&ring, "\"members\": []");
    let without = Regex::new(r#""min_members":\s*\d+"#).unwrap().replace(&members, "\"min_members\": 0");
    envoy.write_live("ring.yaml", &without);
    envoy.restart_envoy();
    let pushes = Repeat::start(Duration::from_millis(100), |_| {
        drop(post("10.0.1.2:9091", "/metrics/job/early", "a 1\n"))
    });
    fleet.expect(&[("PushringNoMembers", "10.0.1.2:9087")]);
    drop(pushes);
    fleet.ingress[1].discover.signal(Signal::HUP);
    fleet.wait_members(3);
    fleet.expect_resolved(&["PushringEnvoyDown", "PushringNoMembers"]);
}
