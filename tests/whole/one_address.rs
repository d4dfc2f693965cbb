//! A client that knows one address pushes, reads and deletes. The death of a gateway changes nothing for it.

use std::collections::BTreeMap;

use pushring_harness::{Mode, poll_until};
use pushring_router::Router;

use crate::fleet::Fleet;

const GROUPS: usize = 60;

#[test]
fn the_death_of_an_owner_changes_nothing() {
    for mode in Mode::ROUTED {
        let mut fleet = Fleet::start(mode, |_| ());
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
    }
}

#[test]
fn the_page_is_at_the_address_of_pushes() {
    for mode in Mode::ROUTED {
        let fleet = Fleet::start(mode, |_| ());
        assert_eq!(fleet.client.put(&path(1), "value 1\n").unwrap().status, 200);
        let page = fleet.client.get("/").unwrap();
        assert_eq!(page.status, 200, "{mode}: {}", page.text());
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{mode}: {:?}", page.headers);
        assert!(page.text().contains("pushring"), "{mode}: {}", page.text());
    }
}

/// The routes find the paths of `serve` also where serve ends.
#[test]
fn without_serve_pushes_are_stored() {
    let mut fleet = Fleet::start(Mode::Cluster, |_| ());
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
