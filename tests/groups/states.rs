//! The state of each copy of a group.

use pushring_harness::{Consul, GatewayFixture, Shift};
use serde_json::json;

use crate::report::{column, rows};

#[test]
fn reports_every_state_of_a_copy() {
    let mut fixture = GatewayFixture::start(2);
    // Everything on g1 is an hour old.
    let path = |job: &str, owner: usize| fixture.path_of(owner, job);
    let (young, old) = (path("young", 0), path("old", 1));
    let paths = ["misplaced", "duplicated", "left-behind", "stub", "unknown"].map(|job| path(job, 0));
    let [misplaced, duplicated, left, stub, _] = &paths;
    fixture.put(0, &young, "a 1\n");
    fixture.put(1, &old, "a 1\n");
    fixture.put(1, misplaced, "a 1\nb 1\n");
    fixture.put(0, misplaced, "a 2\nb 2\nc 2\n");
    fixture.put(1, duplicated, "a 1\nb 1\n");
    fixture.put(0, duplicated, "a 2\n");
    fixture.put(1, left, "a 1\n");
    assert_eq!(fixture.send(0, stub, "# TYPE a counter\na 1\n"), 400);
    // This push must be the last: now the gateway rejects every push.
    assert_eq!(fixture.send(0, "/metrics/job/unknown/x/%ff", "a 1\n"), 400);
    assert_eq!(fixture.send(0, &young, "a 2\n"), 400);
    fixture.age(1);

    let (code, report) = fixture.json("groups", &["--stale-after", "30m"]);
    assert_eq!(code, 1);
    assert_eq!(
        rows(&report, "state"),
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

    // Only these states have a reason.
    let (reasons, codes) = (column(&report, "reason"), column(&report, "code"));
    assert_eq!((&codes[1], &codes[7]), (&json!("lacking"), &json!("not_utf8")));
    let has_none = |row: &usize| reasons[*row].is_null() && codes[*row].is_null();
    assert!([0, 2, 3, 4, 5, 6, 8].iter().all(has_none), "{reasons:?} {codes:?}");
    let owners: Vec<_> = column(&report, "owner");
    assert_eq!((&owners[1], &owners[5], &owners[7]), (&json!("g0"), &json!("g1"), &json!(null)));
    // Ages: an hour on g1, none for a stub, and both for a group with an accepted and a rejected push.
    let ages = column(&report, "age_seconds");
    let failed = column(&report, "failed_age_seconds");
    // A gateway reports its time in whole seconds.
    let near = |value: &serde_json::Value, age: i64| (age - 1..age + 60).contains(&value.as_i64().unwrap());
    assert!(near(&ages[1], 3600) && near(&ages[5], 3600) && near(&ages[8], 0), "{ages:?}");
    assert!(ages[6].is_null() && near(&failed[6], 0) && near(&failed[8], 0), "{failed:?}");
    assert!(failed[5].is_null(), "{failed:?}");
    // The fields of a row.
    let row = report["groups"][0].as_object().unwrap();
    let fields: Vec<&String> = row.keys().collect();
    let expected =
        ["age_seconds", "failed_age_seconds", "labels", "on", "on_ring", "owner", "reason", "state"];
    assert_eq!(fields, expected);
}

#[test]
fn reports_a_gateway_that_does_not_answer_and_lists_the_rest() {
    let mut fixture = GatewayFixture::start(2);
    let (own, lost) = (fixture.path_of(0, "own"), fixture.path_of(1, "lost"));
    fixture.put(0, &own, "a 1\n");
    fixture.put(0, &lost, "a 1\n");
    fixture.gateways[1].process.kill();
    let (code, report) = fixture.json("groups", &[]);
    assert_eq!(code, 1);
    assert_eq!(rows(&report, "state"), ["lost on g0: unknown", "own on g0: in-place"]);
    assert_eq!(report["groups"][0]["code"], "owner_unreadable");
    assert_eq!(
        (&report["unreadable"][0]["gateway"], &report["unreadable"][0]["on_ring"]),
        (&json!("g1"), &json!(true))
    );
    // It affects the exit code regardless of the filters.
    assert_eq!(fixture.run("groups", &["--job", "own"]).code, 1);
    let table = fixture.run("groups", &[]).stdout;
    assert!(table.contains("1 in-place, 1 unknown on 1 of 2 gateways\ng1 cannot be read: "), "{table}");
}

#[test]
fn reports_no_owner_when_routing_by_path() {
    let mut fixture = GatewayFixture::start(2);
    fixture.configure(json!({"route_by": "path"}));
    fixture.put(0, "/metrics/job/a", "a 1\n");
    let (code, report) = fixture.json("groups", &[]);
    assert_eq!((code, rows(&report, "state")), (1, vec!["a on g0: unknown".to_owned()]));
    assert_eq!(report["groups"][0]["code"], "route_by_path");
}

#[test]
fn includes_gateways_that_are_only_registered() {
    let fixture = GatewayFixture::start(2);
    let consul = Consul::start(fixture.dir.path()).unwrap();
    consul.register(fixture.addresses[0], "passing").unwrap();
    consul.register(fixture.addresses[1], "critical").unwrap();
    fixture.put(1, "/metrics/job/a", "a 1\n");
    let url = format!("http://{}", consul.address);
    let (code, report) = fixture.json("groups", &["--consul", &url]);
    assert_eq!(code, 1);
    let row = &report["groups"][0];
    assert_eq!((&row["state"], &row["on_ring"]), (&json!("left-behind"), &json!(false)));
    assert_eq!(row["on"], fixture.addresses[1].to_string());
    assert!(fixture.run("groups", &["--consul", &url]).stdout.contains(" (not on the ring) "));
    // A gateway that is only registered needs no action while it is unreachable.
    drop(fixture.gateways);
    let other = GatewayFixture::start(2);
    consul.deregister(fixture.addresses[0]).unwrap();
    consul.register(other.addresses[0], "passing").unwrap();
    let (code, report) = other.json("groups", &["--consul", &url]);
    assert_eq!((code, &report["unreadable"][0]["on_ring"]), (0, &json!(false)));
}

#[test]
fn ages_use_the_gateways_clock() {
    let mut fixture = GatewayFixture::start(2);
    let paths = [fixture.path_of(0, "ahead"), fixture.path_of(1, "behind")];
    fixture.put(0, &paths[0], "a 1\n");
    fixture.put(1, &paths[1], "a 1\n");
    fixture.proxy(0, Shift::clock(600), |_| ());
    fixture.proxy(1, Shift::clock(-600), |_| ());
    let (code, report) = fixture.json("groups", &["--stale-after", "5m"]);
    assert_eq!(
        (code, rows(&report, "state")),
        (0, vec!["ahead on g0: in-place".into(), "behind on g1: in-place".into()])
    );
    assert!(column(&report, "age_seconds").iter().all(|age| age.as_i64().unwrap() < 60), "{report}");
}
