//! What is swept, a sweep, and what its report says.

use std::collections::BTreeMap;

use pushring_harness::GatewayFixture;
use pushring_harness::command::CommandOutput;
use serde_json::Value;

/// So many gateways; the group of the path belongs to the first and lies on the second too, pushed there before.
pub(crate) fn doubled(gateways: usize) -> (GatewayFixture, String) {
    let world = GatewayFixture::start(gateways);
    let path = world.path_of(0, 0);
    world.put(1, &path, "a 1\n");
    world.put(0, &path, "a 2\n");
    (world, path)
}

/// `pushring sweep`, without waiting for the members to settle.
pub(crate) fn sweep(world: &GatewayFixture, args: &[&str]) -> CommandOutput {
    world.run("sweep", &[&["--settle", "0s", "--output", "json"], args].concat())
}

/// The misplaced copies of a report: gateway -> (result, reason), for reports with one copy a gateway.
pub(crate) fn misplaced(output: &CommandOutput) -> BTreeMap<String, (String, String)> {
    let json = output.json().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let copies = json["misplaced"].as_array().unwrap().iter();
    copies.map(|copy| (text(&copy["on"]), (text(&copy["result"]), text(&copy["reason"])))).collect()
}
