//! What a report says, and which jobs the gateways hold.

use pushring_harness::{GatewayFixture, poll_until};
use serde_json::Value;

/// The jobs of the groups that each gateway holds.
pub(crate) fn jobs(world: &GatewayFixture) -> Vec<Vec<String>> {
    let jobs = world.gateways.iter().map(|gateway| {
        let groups = gateway.groups().unwrap();
        let mut jobs: Vec<String> = groups.iter().map(|labels| labels["job"].clone()).collect();
        jobs.sort();
        jobs
    });
    jobs.collect()
}

/// Waits until the gateways have worked off what they answered with 202.
pub(crate) fn wait_jobs(world: &GatewayFixture, expected: [&[&str]; 2]) {
    let found = || (jobs(world) == expected).then_some(());
    poll_until(&format!("the jobs {expected:?}"), found).unwrap();
}

/// A field of each group of a report.
pub(crate) fn column(report: &Value, field: &str) -> Vec<Value> {
    report["groups"].as_array().unwrap().iter().map(|group| group[field].clone()).collect()
}

/// `job of the group on gateway: value of the field`, for each group of a report.
pub(crate) fn told(report: &Value, field: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let row = |group: &Value| {
        format!("{} on {}: {}", text(&group["labels"]["job"]), text(&group["on"]), text(&group[field]))
    };
    report["groups"].as_array().unwrap().iter().map(row).collect()
}
