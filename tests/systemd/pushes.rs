//! Pushes to the Envoy of a machine, and where they are.

use pushring_harness::poll_until;
use serde_json::Value;

use crate::machine::Machine;

/// Pushes this number of groups; every push must be stored.
#[track_caller]
pub(crate) fn push(machine: &Machine, count: usize) {
    machine.ok(&format!(
        "for i in $(seq {count}); do
           echo \"records $i\" | curl -sS --fail --data-binary @- http://127.0.0.1:9091/metrics/job/batch/instance/$i
         done"
    ));
}

/// Fails unless this number of pushed groups is on the gateways, each once and on its owner.
#[track_caller]
pub(crate) fn assert_on_owners(machine: &Machine, count: usize) {
    let copies = copies(machine);
    assert_eq!(copies.len(), count);
    for copy in copies {
        assert_eq!(copy["state"], "in-place", "{copy}");
    }
}

/// Waits until the sweeper has left one copy of each group.
#[track_caller]
pub(crate) fn wait_swept(machine: &Machine, count: usize) {
    poll_until("the sweeper", || (copies(machine).len() == count).then_some(())).unwrap();
}

/// Waits until each group is on its owner and on its replica.
#[track_caller]
pub(crate) fn wait_replicated(machine: &Machine, count: usize) {
    let with = |copies: &[Value], state: &str| copies.iter().filter(|copy| copy["state"] == state).count();
    poll_until("the replicas", || {
        let copies = copies(machine);
        (with(&copies, "in-place") == count && with(&copies, "replica") == count).then_some(())
    })
    .unwrap();
}

/// Returns the copies of the groups of [`push`].
fn copies(machine: &Machine) -> Vec<Value> {
    let outcome = machine.run("pushring groups --config /etc/pushring/live/ring.yaml --output json");
    // 1 if a group is not where it belongs.
    assert!([0, 1].contains(&outcome.code), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let is_pushed = |copy: &&Value| copy["labels"]["job"] == "batch";
    report["groups"]
        .as_array()
        .unwrap_or_else(|| panic!("{report}"))
        .iter()
        .filter(is_pushed)
        .cloned()
        .collect()
}

/// Returns the names of the members on Envoy's ring.
pub(crate) fn members(machine: &Machine) -> Vec<String> {
    let text = machine.ok("curl -sS --fail http://127.0.0.1:9091/-/pushring");
    let status: Value = serde_json::from_str(&text).unwrap();
    let names = status["members"].as_array().unwrap().iter().map(|member| member["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}
