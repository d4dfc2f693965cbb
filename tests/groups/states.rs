//! What is said of each copy of a group.

use pushring_harness::{Consul, GatewayFixture, Shift};
use serde_json::json;

use crate::report::{column, told};

#[test]
fn every_state_a_copy_can_be_in() {
    let mut world = GatewayFixture::start(2);
    // Everything on g1 is an hour old.
    let path = |job: &str, owner: usize| world.path_of(owner, job);
    let (young, old) = (path("young", 0), path("old", 1));
    let paths = ["misplaced", "duplicated", "left-behind", "stub", "unknown"].map(|job| path(job, 0));
    let [misplaced, duplicated, left, stub, _] = &paths;
    world.put(0, &young, "a 1\n");
    world.put(1, &old, "a 1\n");
    world.put(1, misplaced, "a 1\nb 1\n");
    world.put(0, misplaced, "a 2\nb 2\nc 2\n");
    world.put(1, duplicated, "a 1\nb 1\n");
    world.put(0, duplicated, "a 2\n");
    world.put(1, left, "a 1\n");
    assert_eq!(world.send(0, stub, "# TYPE a counter\na 1\n"), 400);
    // The last: from now on the gateway refuses every push, also to a group that it has.
    assert_eq!(world.send(0, "/metrics/job/unknown/x/%ff", "a 1\n"), 400);
    assert_eq!(world.send(0, &young, "a 2\n"), 400);
    world.age(1);

    let (code, report) = world.json("groups", &["--stale-after", "30m"]);
    assert_eq!(code, 1);
    assert_eq!(
        told(&report, "state"),
        [
            "duplicated on g0: in-place",
            "duplicated on g1: duplicated",
            "left-behind on g1: left-behind",
            "misplaced on g0: in-place",
            "misplaced on g1: misplaced",
            "old on g1: stale",
            "stub on g0: stub",
            "unknown on g0: unknown",
            "young on g0: in-place",
        ]
    );
    let counts = json!({"in-place": 3, "misplaced": 1, "duplicated": 1, "left-behind": 1, "stale": 1, "stub": 1, "unknown": 1});
    assert_eq!(
        (&report["counts"], &report["gateways"], &report["unreadable"]),
        (&counts, &json!(2), &json!([]))
    );

    // Reasons where the state alone does not say it.
    let reasons = column(&report, "reason");
    assert_eq!(
        (&reasons[1], &reasons[7]),
        (&json!("the owner lacks b"), &json!("one of its labels is not UTF-8"))
    );
    assert!([0, 2, 3, 4, 5, 6, 8].iter().all(|&row| reasons[row].is_null()), "{reasons:?}");
    let owners: Vec<_> = column(&report, "owner");
    assert_eq!((&owners[1], &owners[5], &owners[7]), (&json!("g0"), &json!("g1"), &json!(null)));
    // Ages: an hour on g1; none of a stub; a refused push beside one that was taken.
    let ages = column(&report, "age_seconds");
    let failed = column(&report, "failed_age_seconds");
    // A gateway tells its time in whole seconds.
    let near = |value: &serde_json::Value, age: i64| (age - 1..age + 60).contains(&value.as_i64().unwrap());
    assert!(near(&ages[1], 3600) && near(&ages[5], 3600) && near(&ages[8], 0), "{ages:?}");
    assert!(ages[6].is_null() && near(&failed[6], 0) && near(&failed[8], 0), "{failed:?}");
    assert!(failed[5].is_null(), "{failed:?}");
    // The shape of a row.
    let row = report["groups"][0].as_object().unwrap();
    let fields: Vec<&String> = row.keys().collect();
    let expected =
        ["age_seconds", "failed_age_seconds", "labels", "on", "on_ring", "owner", "reason", "state"];
    assert_eq!(fields, expected);
}

#[test]
fn a_gateway_that_does_not_answer_is_told_and_the_rest_shown() {
    let mut world = GatewayFixture::start(2);
    let (own, lost) = (world.path_of(0, "own"), world.path_of(1, "lost"));
    world.put(0, &own, "a 1\n");
    world.put(0, &lost, "a 1\n");
    world.gateways[1].process.kill();
    let (code, report) = world.json("groups", &[]);
    assert_eq!(code, 1);
    assert_eq!(told(&report, "state"), ["lost on g0: unknown", "own on g0: in-place"]);
    assert!(report["groups"][0]["reason"].as_str().unwrap().starts_with("its owner g1 cannot be read: "));
    assert_eq!(
        (&report["unreadable"][0]["gateway"], &report["unreadable"][0]["on_ring"]),
        (&json!("g1"), &json!(true))
    );
    // It counts whatever the filters choose.
    assert_eq!(world.run("groups", &["--job", "own"]).code, 1);
    let table = world.run("groups", &[]).stdout;
    assert!(table.contains("1 in-place, 1 unknown on 1 of 2 gateways\ng1 cannot be read: "), "{table}");
}

#[test]
fn by_path_a_group_has_no_one_owner() {
    let mut world = GatewayFixture::start(2);
    world.configure(json!({"route_by": "path"}));
    world.put(0, "/metrics/job/a", "a 1\n");
    let (code, report) = world.json("groups", &[]);
    assert_eq!((code, told(&report, "state")), (1, vec!["a on g0: unknown".to_owned()]));
    assert!(report["groups"][0]["reason"].as_str().unwrap().contains("route_by"));
}

#[test]
fn a_gateway_that_is_only_registered_is_looked_at_too() {
    let world = GatewayFixture::start(2);
    let consul = Consul::start(world.dir.path()).unwrap();
    consul.register(world.addresses[0], "passing").unwrap();
    consul.register(world.addresses[1], "critical").unwrap();
    world.put(1, "/metrics/job/a", "a 1\n");
    let url = format!("http://{}", consul.address);
    let (code, report) = world.json("groups", &["--consul", &url]);
    assert_eq!(code, 1);
    let row = &report["groups"][0];
    assert_eq!((&row["state"], &row["on_ring"]), (&json!("left-behind"), &json!(false)));
    assert_eq!(row["on"], world.addresses[1].to_string());
    assert!(world.run("groups", &["--consul", &url]).stdout.contains(" (not on the ring) "));
    // As long as it tells nothing, there is nothing to be done about it.
    drop(world.gateways);
    let other = GatewayFixture::start(2);
    consul.deregister(world.addresses[0]).unwrap();
    consul.register(other.addresses[0], "passing").unwrap();
    let (code, report) = other.json("groups", &["--consul", &url]);
    assert_eq!((code, &report["unreadable"][0]["on_ring"]), (0, &json!(false)));
}

#[test]
fn ages_are_by_the_clock_of_the_gateway() {
    let mut world = GatewayFixture::start(2);
    let paths = [world.path_of(0, "ahead"), world.path_of(1, "behind")];
    world.put(0, &paths[0], "a 1\n");
    world.put(1, &paths[1], "a 1\n");
    world.proxy(0, Shift::clock(600), |_| ());
    world.proxy(1, Shift::clock(-600), |_| ());
    let (code, report) = world.json("groups", &["--stale-after", "5m"]);
    assert_eq!(
        (code, told(&report, "state")),
        (0, vec!["ahead on g0: in-place".into(), "behind on g1: in-place".into()])
    );
    assert!(column(&report, "age_seconds").iter().all(|age| age.as_i64().unwrap() < 60), "{report}");
}
