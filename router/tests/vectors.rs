//! Checks the router against the golden vectors of testdata/, natively and in wasm32, where `usize` has 32 bits.

#![allow(clippy::expect_used, clippy::panic)] // a panic is how a test fails

use pushring_router::{Decision, ReplyKind, Request, Router};
use pushring_vectors as vectors;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn router(set: &vectors::Set, prefix: &str, route_by: &str, utf8_names: bool) -> Router {
    let config = set.config(prefix, route_by, utf8_names);
    Router::parse(config.as_bytes()).expect("a set of the vectors is valid")
}

#[test]
fn owners_of_keys_match_the_vectors() {
    let mut checked = 0;
    for set in vectors::sets() {
        let router = router(&set, "", "group", false);
        for row in vectors::lookups().filter(|row| row.set == set.name) {
            let owner = router.owner(&row.key).map(|member| member.name.as_str());
            assert_eq!(owner, Some(row.owner), "owner of {:?} in {}", row.key, set.name);
            checked += 1;
        }
    }
    assert!(checked > 500, "only {checked} rows checked");
}

#[test]
fn keys_and_owners_of_paths_match_the_vectors() {
    let (ten, three) = (vectors::set("ten"), vectors::set("ds-three"));
    let mut of_settings: Vec<((&str, &str, bool), Router)> = Vec::new();
    let mut checked = 0;
    for row in vectors::pushes() {
        let settings = (row.prefix, row.route_by, row.utf8_names);
        if of_settings.iter().all(|(known, _)| *known != settings) {
            let set = if row.route_by == "path" { &three } else { &ten };
            of_settings.push((settings, router(set, row.prefix, row.route_by, row.utf8_names)));
        }
        let found = of_settings.iter().find(|(known, _)| *known == settings);
        let (_, router) = found.expect("pushed above");
        check(router, &row);
        checked += 1;
    }
    assert!(checked > 1000, "only {checked} rows checked");
}

fn check(router: &Router, row: &vectors::Push) {
    let what = format!("{} {} {} {}", row.path, row.route_by, row.prefix, row.utf8_names);
    let decision = router.decide(Request { method: b"PUT", path: row.path.as_bytes(), accept: None });
    match (row.outcome, decision) {
        ("group" | "malformed", Decision::Route(route)) => {
            let group = router.group(row.path.as_bytes()).expect("a push path has a group");
            assert_eq!(group.key, row.key, "key of {what}");
            assert_eq!(route.owner.name, row.owner, "owner of {what}");
            assert_eq!(route.destination.as_bytes(), row.owner.as_bytes(), "destination of {what}");
            assert_eq!(route.malformed, row.outcome == "malformed", "{what}");
        }
        ("poison", Decision::Reply(reply)) => {
            assert_eq!((reply.kind, reply.status), (ReplyKind::Poison, 400), "{what}");
        }
        ("other", Decision::Bypass) => assert_eq!(router.group(row.path.as_bytes()), None, "{what}"),
        (outcome, decision) => panic!("{what}: expected {outcome}, found {decision:?}"),
    }
}
