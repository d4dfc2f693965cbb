//! Gateways to sweep, the command, and its report.

use std::collections::BTreeMap;

use pushring_harness::command::CommandOutput;
use pushring_harness::{GatewayFixture, Shift};
use serde_json::Value;

/// Starts gateways with a group of the first one that is also stored on the second one, pushed there before.
pub(crate) fn doubled(gateways: usize) -> (GatewayFixture, String) {
    let fixture = GatewayFixture::start(gateways);
    let path = fixture.path_of(0, 0);
    fixture.put(1, &path, "a 1\n");
    fixture.put(0, &path, "a 2\n");
    (fixture, path)
}

/// Runs `pushring sweep` without a settling time.
pub(crate) fn sweep(fixture: &GatewayFixture, args: &[&str]) -> CommandOutput {
    fixture.run("sweep", &[&["--settle", "0s", "--output", "json"], args].concat())
}

/// Returns result and code of the reason of the misplaced copy on each gateway; `null` if it has no code.
pub(crate) fn misplaced(output: &CommandOutput) -> BTreeMap<String, (String, String)> {
    let json = output.json().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
    let copies = json["misplaced"].as_array().unwrap().iter();
    copies.map(|copy| (text(&copy["on"]), (text(&copy["result"]), text(&copy["code"])))).collect()
}

/// The wording for people. The names of the members are fixed, so the jobs and the widths of columns are, too.
#[test]
fn table_is_that_of_the_snapshot() {
    let mut fixture = GatewayFixture::start(2);
    for (job, copy, owned) in [("lacking", "b 1\nc 1\n", "c 2\n"), ("older", "a 1\n", "a 2\n")] {
        fixture.put(1, &fixture.path_of(0, job), copy);
        fixture.put(0, &fixture.path_of(0, job), owned);
    }
    fixture.put(1, &fixture.path_of(0, "left-behind"), "c 1\n");
    fixture.age(1);
    fixture.proxy(0, Shift { family_age: Some(("a", 7200)), ..Shift::default() }, |_| ());
    let output = fixture.run("sweep", &["--settle", "0s"]);
    assert_eq!(output.stdout, include_str!("table.txt"));
}
