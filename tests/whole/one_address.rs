//! A client that knows one address pushes, reads and deletes. The death of a gateway changes nothing for it.

use std::collections::BTreeMap;
use std::fs;

use pushring_harness::{Mode, command, poll_until};
use pushring_router::Router;
use serde_json::json;

use crate::fleet::Fleet;

const GROUPS: usize = 60;

#[test]
fn the_death_of_an_owner_changes_nothing() {
    for mode in Mode::ROUTED {
        let mut fleet = Fleet::start(mode);
        let mut expected = BTreeMap::new();
        for number in 0..GROUPS {
            let answer = fleet.client.put(&path(number), format!("value {number}\n")).unwrap();
            assert_eq!(answer.status, 200, "{mode}: {}", answer.text());
            expected.insert(series(number), number.to_string());
        }
        fleet.wait_replicas(GROUPS);
        assert_eq!(fleet.values(), expected, "{mode}");

        assert_eq!(fleet.client.delete(&path(7)).unwrap().status, 202, "{mode}");
        expected.remove(&series(7));
        fleet.wait_replicas(GROUPS - 1);
        assert_eq!(fleet.values(), expected, "{mode}");

        let owner = owner(&fleet, &path(0));
        fleet.kill(owner);
        assert_eq!(fleet.values(), expected, "{mode}: the owner is dead");
        if mode == Mode::Endpoint {
            assert_eq!(fleet.client.put(&path(0), "value 100\n").unwrap().status, 200);
            expected.insert(series(0), "100".to_owned());
            assert_eq!(fleet.values(), expected, "a push while the owner is dead");
        }
        fleet.start_empty(owner);
        assert_eq!(fleet.values(), expected, "{mode}: the owner is empty");
        assert_eq!(fleet.client.put(&path(0), "value 101\n").unwrap().status, 200);
        expected.insert(series(0), "101".to_owned());
        assert_eq!(fleet.values(), expected, "{mode}: the owner is back");

        let repaired = fleet.repair();
        assert_eq!(repaired.code, 0, "{mode}: {}{}", repaired.stdout, repaired.stderr);
        assert_eq!(fleet.values(), expected, "{mode}: repaired");
        let metrics = fleet.client.get("/metrics").unwrap().text();
        for (source, groups) in [("owner", GROUPS - 1), ("replica", 0), ("former", 0), ("unknown", 0)] {
            let line = format!("pushring_serve_groups{{source=\"{source}\"}} {groups}\n");
            assert!(metrics.contains(&line), "{mode}: {line}{metrics}");
        }
    }
}

#[test]
fn page_api_and_metrics_are_at_the_address_of_pushes() {
    for (mode, prefix) in [(Mode::Cluster, ""), (Mode::Endpoint, "/pg")] {
        let fleet = Fleet::with(mode, prefix, &[]);
        let get = |page: &str| fleet.client.get(&format!("{prefix}{page}")).unwrap();
        let pushed = fleet.client.put(&format!("{prefix}{}", path(1)), "value 1\n").unwrap();
        assert_eq!(pushed.status, 200, "{mode}: {}", pushed.text());
        let page = get("/");
        assert_eq!(page.status, 200, "{mode}: {}", page.text());
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{mode}: {:?}", page.headers);
        assert!(page.text().contains("whole"), "{mode}: {}", page.text());
        assert!(get("/metrics").text().contains(&series(1)), "{mode}");
        let groups = get("/api/v1/metrics").json().unwrap();
        assert_eq!(groups["data"][0]["labels"]["number"], "1", "{mode}: {groups}");
        assert_eq!(get("/api/v1/status").json().unwrap()["status"], "success", "{mode}");
        // Only with --enable-admin-api.
        let wiped = fleet.client.put(&format!("{prefix}/api/v1/admin/wipe"), "").unwrap();
        assert_eq!(wiped.status, 404, "{mode}: {}", wiped.text());
        assert!(get("/metrics").text().contains(&series(1)), "{mode}");
    }
}

#[test]
fn a_wipe_through_envoy_deletes_all_groups() {
    let fleet = Fleet::with(Mode::Cluster, "", &["--enable-admin-api"]);
    for number in 0..GROUPS {
        assert_eq!(fleet.client.put(&path(number), "value 1\n").unwrap().status, 200);
    }
    fleet.wait_replicas(GROUPS);
    assert_eq!(fleet.client.put("/api/v1/admin/wipe", "").unwrap().status, 202);
    fleet.wait_replicas(0);
    assert_eq!(fleet.values(), BTreeMap::new());
}

/// As a member, Envoy would answer for the whole fleet, and a sweep would delete groups through it.
#[test]
fn an_envoy_that_is_a_member_by_mistake_is_no_gateway() {
    let fleet = Fleet::start(Mode::Cluster);
    assert_eq!(fleet.client.put(&path(1), "value 1\n").unwrap().status, 200);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ring.json");
    let config = json!({"members": [fleet.gateways[0].address.to_string(), fleet.envoy.push.to_string()]});
    fs::write(&file, config.to_string()).unwrap();
    let found = command::pushring(["groups", "--config", file.to_str().unwrap()]).unwrap();
    assert_eq!(found.code, 1, "{}", found.stdout);
    assert!(format!("{}{}", found.stdout, found.stderr).contains("508"), "{}{}", found.stdout, found.stderr);
}

/// The routes find the paths of `serve` also where serve ends.
#[test]
fn without_serve_pushes_are_stored() {
    let mut fleet = Fleet::start(Mode::Cluster);
    fleet.serve.kill();
    assert_eq!(fleet.client.get("/metrics").unwrap().status, 404);
    assert_eq!(fleet.client.put(&path(1), "value 1\n").unwrap().status, 200);
    let stored = || fleet.gateways.iter().any(|gateway| !gateway.groups().unwrap().is_empty());
    poll_until("the push to be stored", || stored().then_some(())).unwrap();
}

fn path(number: usize) -> String {
    format!("/metrics/job/whole/number/{number}")
}

fn series(number: usize) -> String {
    format!("value{{instance=\"\",job=\"whole\",number=\"{number}\"}}")
}

fn owner(fleet: &Fleet, path: &str) -> usize {
    let router = Router::parse(fleet.config.to_string().as_bytes()).unwrap();
    let key = router.group(path.as_bytes()).expect("a push path").key;
    let index = router.ring().clockwise(&key).next().unwrap();
    let address = &router.config().members[index].address;
    fleet.gateways.iter().position(|gateway| gateway.address.to_string() == *address).unwrap()
}
