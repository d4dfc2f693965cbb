//! Clients on the machine that push all the time.

use std::collections::BTreeMap;
use std::fs;

use pushring_harness::{poll_until, tools};
use serde::Deserialize;
use serde_json::Value;

use crate::machine::Machine;

/// Groups of all clients: see load.py.
pub(crate) const GROUPS: usize = 160;

/// The answers to the clients.
#[derive(Deserialize)]
struct Seen {
    pushes: usize,
    lost: Vec<String>,
    values: BTreeMap<String, u64>,
}

/// Starts the clients, which push to this port.
pub(crate) fn start(machine: &Machine, port: u16) {
    let script = fs::read_to_string(tools::repository().join("tests/upgrade/load.py")).unwrap();
    machine.write("/root/load.py", &script);
    point(machine, port);
    machine.ok(
        "systemd-run --quiet --unit load --working-directory=/root bash -c 'python3 load.py > load.json'",
    );
}

/// Points the clients at another port.
pub(crate) fn point(machine: &Machine, port: u16) {
    machine.ok(&format!("echo {port} > target.new; mv target.new target"));
}

/// Waits until every group was pushed again, so that a push has seen what changed before.
pub(crate) fn round(machine: &Machine) {
    let rounds = || -> Vec<u64> {
        let text = machine.ok("cat rounds-* 2> /dev/null || true");
        text.lines().map(|line| line.parse().unwrap_or(0)).collect()
    };
    let before = rounds();
    poll_until("the clients to push", || {
        let now = rounds();
        (now.len() == 4
            && now.iter().enumerate().all(|(at, round)| *round >= before.get(at).unwrap_or(&0) + 2))
        .then_some(())
    })
    .unwrap();
}

/// Fails unless each group is on the gateways once, and on its owner.
#[track_caller]
pub(crate) fn assert_in_place(machine: &Machine) {
    let copies = copies(machine);
    assert_eq!(copies.len(), GROUPS);
    for copy in copies {
        assert_eq!(copy["state"], "in-place", "{copy}");
    }
}

/// Waits until the sweeper has left one copy of each group.
#[track_caller]
pub(crate) fn wait_swept(machine: &Machine) {
    poll_until("the sweeper", || (copies(machine).len() == GROUPS).then_some(())).unwrap();
}

/// Returns the gateway of each group.
pub(crate) fn places(machine: &Machine) -> BTreeMap<String, String> {
    let place = |copy: &Value| (copy["labels"].to_string(), copy["gateway"].to_string());
    copies(machine).iter().map(place).collect()
}

fn copies(machine: &Machine) -> Vec<Value> {
    let outcome = machine.run("pushring groups --config /etc/pushring/live/ring.yaml --output json");
    // 1 if a group is not where it belongs.
    assert!([0, 1].contains(&outcome.code), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let groups = report["groups"].as_array().unwrap_or_else(|| panic!("{report}"));
    groups.iter().filter(|copy| copy["labels"]["job"] == "batch").cloned().collect()
}

/// Ends the clients. No push was lost, and the gateways have the last value of each group.
#[track_caller]
pub(crate) fn stop(machine: &Machine, gateways: &[&str]) {
    machine.ok("touch stop");
    machine.wait("! systemctl is-active --quiet load");
    let seen: Seen = serde_json::from_str(&machine.ok("cat load.json")).unwrap();
    println!("{} pushes, {} lost", seen.pushes, seen.lost.len());
    assert!(
        seen.lost.is_empty(),
        "lost {} of {}: {:#?}\n{}",
        seen.lost.len(),
        seen.pushes,
        seen.lost,
        machine.journal()
    );
    assert_eq!(seen.values.len(), GROUPS);
    let mut found = BTreeMap::new();
    for gateway in gateways {
        let text = machine.ok(&format!("curl -sS --fail http://{gateway}/metrics"));
        for line in text.lines().filter(|line| line.starts_with("records{")) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let instance = series.split('"').nth(1).unwrap();
            let value: f64 = value.parse().unwrap();
            found.insert(format!("/metrics/job/batch/instance/{instance}"), value as u64);
        }
    }
    assert_eq!(found, seen.values);
}
