//! Reads reports and the jobs on the gateways.

use pushring_harness::{GatewayFixture, poll_until};
use serde_json::Value;

/// Returns the jobs of the groups on each gateway.
pub(crate) fn jobs(fixture: &GatewayFixture) -> Vec<Vec<String>> {
    let jobs = fixture.gateways.iter().map(|gateway| {
        // A gateway whose API a group broke answers again as soon as it has deleted the group, which is after its answer.
        let groups = poll_until("the API", || gateway.groups().ok()).unwrap();
        let mut jobs: Vec<String> = groups.iter().map(|labels| labels["job"].clone()).collect();
        jobs.sort();
        jobs
    });
    jobs.collect()
}

/// Waits until the gateways have processed their queues.
pub(crate) fn wait_jobs(fixture: &GatewayFixture, expected: [&[&str]; 2]) {
    let found = || (jobs(fixture) == expected).then_some(());
    poll_until(&format!("the jobs {expected:?}"), found).unwrap();
}

/// Returns a field of each group of a report.
pub(crate) fn column(report: &Value, field: &str) -> Vec<Value> {
    report["groups"].as_array().unwrap().iter().map(|group| group[field].clone()).collect()
}

/// Returns `job on gateway: value of the field` for each group of a report.
pub(crate) fn rows(report: &Value, field: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let row = |group: &Value| {
        format!("{} on {}: {}", text(&group["labels"]["job"]), text(&group["on"]), text(&group[field]))
    };
    report["groups"].as_array().unwrap().iter().map(row).collect()
}
