//! Gateways poisoned in every way that is known, found, and mended by the command that is printed.

use std::process::Command;

use pushring_harness::{GatewayFixture, poll_until};
use serde_json::{Value, json};

use crate::report::wait_jobs;

const UNCHECKED: &[&str] = &["--push.disable-consistency-check"];

fn poisoned(world: &GatewayFixture) -> Value {
    let healthy = || (world.gateways[0].metrics().is_err()).then_some(());
    poll_until("the gateway to be poisoned", healthy).unwrap();
    let (code, report) = world.json("groups", &["--conflicts"]);
    assert_eq!((code, report["poisoned"].as_array().unwrap().len()), (1, 1), "{report}");
    let table = world.run("groups", &["--conflicts"]).stdout;
    assert!(table.contains("g0 is poisoned: ") && table.contains(" 1 poisoned, on 2 gateways"), "{table}");
    report["poisoned"][0].clone()
}

/// Runs the printed commands; the labels of the groups.
fn run(culprits: &[Value]) -> Vec<Value> {
    let run = |culprit: &Value| {
        let command = culprit["mend"].as_str().unwrap();
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        culprit["labels"].clone()
    };
    culprits.iter().map(run).collect()
}

/// The labels of the groups that are blamed. Runs the commands; then nothing is poisoned any more.
fn mend(world: &GatewayFixture) -> Vec<Value> {
    let poisoned = poisoned(world);
    let mut blamed = run(poisoned["culprits"].as_array().unwrap());
    blamed.sort_by_key(Value::to_string);
    let healthy = || world.gateways[0].metrics().is_ok().then_some(());
    poll_until(&format!("the gateway to be healthy after {poisoned}"), healthy).unwrap();
    assert_eq!(world.json("groups", &["--conflicts"]).1["poisoned"], json!([]));
    blamed
}

#[test]
fn values_that_are_not_utf8_to_the_byte() {
    let world = GatewayFixture::start(2);
    world.put(0, "/metrics/job/good/x/1", "m 1\n");
    for path in [
        "/metrics/job/a%ff",
        "/metrics/job/a%fe/x/%e2%82",
        "/metrics/job@base64/_-__/x/1",
        "/metrics/job/b%0a%09%22%5c%7f%c2%85%7d%ff%01/instance/",
        "/metrics/job/good/x/%ff",
    ] {
        assert_eq!(world.send(0, path, "m 1\n"), 400, "{path}");
    }
    // A victim: its stub is no reason.
    assert_eq!(world.send(0, "/metrics/job/victim", "m 1\n"), 400);
    let expected = [
        json!({"instance": "", "job": "b\n\t\"\\\u{7f}\u{85}}\u{fffd}\u{1}"}),
        json!({"job": "a\u{fffd}", "x": "\u{fffd}\u{fffd}"}),
        json!({"job": "a\u{fffd}"}),
        json!({"job": "good", "x": "\u{fffd}"}),
        json!({"job": "\u{fffd}\u{fffd}\u{fffd}", "x": "1"}),
    ];
    assert_eq!(mend(&world), expected);
    wait_jobs(&world, [&["good", "victim"], &[]]);
}

#[test]
fn unchecked_values_that_are_not_utf8_with_their_metrics() {
    let world = GatewayFixture::with_flags(2, UNCHECKED);
    // The first has the same family, and even the same label within it.
    world.put(0, "/metrics/job/good", "m{x=\"1\"} 1\nm 1\n");
    world.put(0, "/metrics/job/good/x/%ff", "m 1\n");
    world.put(0, "/metrics/job/bad%ff", "m 1\n");
    assert_eq!(mend(&world), [json!({"job": "bad\u{fffd}"}), json!({"job": "good", "x": "\u{fffd}"})]);
    wait_jobs(&world, [&["good"], &[]]);
}

#[test]
fn names_that_only_utf8_mode_lets_in() {
    let world = GatewayFixture::with_flags(2, &["--push.enable-utf8-names"]);
    world.put(0, "/metrics/job/a", "m 1\n");
    assert_eq!(world.send(0, "/metrics/job/a/U______x/v", "m 1\n"), 400);
    assert_eq!(world.send(0, "/metrics/job/a/%C3%BC%20b/%ff", "m 1\n"), 400);
    let expected = [json!({"__x": "v", "job": "a"}), json!({"job": "a", "ü b": "\u{fffd}"})];
    assert_eq!(mend(&world), expected);
    wait_jobs(&world, [&["a"], &[]]);
}

#[test]
fn an_empty_instance_beside_none_the_stub_goes() {
    for (first, second, blamed) in [
        ("/metrics/job/a", "/metrics/job/a/instance/", json!({"job": "a", "instance": ""})),
        ("/metrics/job/a/instance/", "/metrics/job/a", json!({"job": "a"})),
    ] {
        let world = GatewayFixture::start(2);
        world.put(0, first, "m 1\n");
        assert_eq!(world.send(0, second, "m 1\n"), 400);
        assert_eq!(world.send(0, "/metrics/job/a/instance/i", "m 1\n"), 400);
        assert_eq!(mend(&world), [blamed]);
        assert!(world.gateways[0].metrics().unwrap().contains("\nm{instance=\"\",job=\"a\"} 1\n"));
    }
}

#[test]
fn the_same_series_in_two_groups_the_older_goes() {
    let world = GatewayFixture::with_flags(2, UNCHECKED);
    world.put(0, "/metrics/job/a", "m{x=\"1\"} 1\n");
    wait_jobs(&world, [&["a"], &[]]);
    world.put(0, "/metrics/job/a/x/1", "m 2\n");
    // It has the family, but not that series.
    world.put(0, "/metrics/job/a/y/1", "m 2\n");
    assert_eq!(mend(&world), [json!({"job": "a"})]);
    wait_jobs(&world, [&["a", "a"], &[]]);
}

#[test]
fn the_same_series_twice_in_one_group() {
    let world = GatewayFixture::with_flags(2, UNCHECKED);
    world.put(0, "/metrics/job/good", "m 1\n");
    world.put(0, "/metrics/job/a/instance/i", "m 1\nm 2\n");
    assert_eq!(mend(&world), [json!({"job": "a", "instance": "i"})]);
    wait_jobs(&world, [&["good"], &[]]);
}

#[test]
fn of_a_family_with_two_types_the_rarer_one_goes() {
    let world = GatewayFixture::with_flags(2, UNCHECKED);
    for job in ["a", "b", "c"] {
        world.put(0, &format!("/metrics/job/{job}"), "# TYPE m gauge\nm 1\n");
    }
    world.put(0, "/metrics/job/odd", "# TYPE m counter\nm 1\n");
    world.put(0, "/metrics/job/other", "# TYPE other counter\nother 1\n");
    // Whichever the gateway comes upon first.
    for _ in 0..5 {
        let culprits = poisoned(&world)["culprits"].clone();
        assert_eq!(culprits.as_array().unwrap().len(), 1, "{culprits}");
    }
    assert_eq!(world.json("groups", &["--conflicts"]).1["conflicts"][0]["family"], "m");
    assert_eq!(mend(&world), [json!({"job": "odd"})]);
}

#[test]
fn of_families_that_collide_the_rarer_one_goes() {
    let world = GatewayFixture::with_flags(2, UNCHECKED);
    for job in ["a", "b"] {
        let body = "# TYPE m histogram\nm_bucket{le=\"+Inf\"} 1\nm_sum 1\nm_count 1\n";
        world.put(0, &format!("/metrics/job/{job}"), body);
    }
    world.put(0, "/metrics/job/odd", "# TYPE m_count counter\nm_count 1\n");
    world.put(0, "/metrics/job/other", "# TYPE other counter\nother 1\n");
    assert_eq!(mend(&world), [json!({"job": "odd"})]);
}

#[test]
fn a_family_that_collides_with_one_of_the_gateway() {
    let world = GatewayFixture::with_flags(2, UNCHECKED);
    world.put(0, "/metrics/job/good", "m 1\n");
    world.put(0, "/metrics/job/own", "# TYPE go_goroutines counter\ngo_goroutines 1\n");
    assert_eq!(mend(&world), [json!({"job": "own"})]);
}

#[test]
fn a_gauge_of_the_gateway_as_another_type() {
    let world = GatewayFixture::with_flags(2, UNCHECKED);
    world.put(0, "/metrics/job/bad", "m 1\n");
    for job in 0..20 {
        world.put(0, &format!("/metrics/job/{job}"), "m 1\n");
    }
    let body = "# TYPE push_failure_time_seconds counter\npush_failure_time_seconds 1\n";
    world.client(0).post("/metrics/job/bad", body).unwrap();
    // Where the gateway comes upon it first, it complains of all others.
    assert_eq!(mend(&world), [json!({"job": "bad"})]);
}

#[test]
fn where_the_api_tells_nothing_the_complaints_have_to_do() {
    let world = GatewayFixture::with_flags(2, UNCHECKED);
    world.put(0, "/metrics/job/good/x/1", "m 1\n");
    // In the API, the family takes the place of the group's labels.
    world.put(0, "/metrics/job/hidden%ff/x/1", "labels 1\n");
    let poisoned = poisoned(&world);
    assert_eq!((&poisoned["errors"], &poisoned["on_ring"]), (&json!(3), &json!(true)));
    assert!(poisoned["error"].as_str().unwrap().starts_with("collected metric \""), "{poisoned}");
    assert_eq!(mend(&world), [json!({"job": "hidden\u{fffd}", "x": "1"})]);
    assert!(world.gateways[0].metrics().unwrap().contains("\nm{"));
}

#[test]
fn a_group_that_silences_the_api() {
    let world = GatewayFixture::start(2);
    world.put(0, "/metrics/job/good", "m 1\n");
    let client = world.client(0);
    // A family of the gateway's own, without a metric, in the delimited protobuf form.
    let name = b"push_failure_time_seconds";
    let length = u8::try_from(name.len()).unwrap();
    let body = [&[length + 4, 0x0a, length], &name[..], &[0x18, 0x01]].concat();
    let form = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    for path in ["/metrics/job/a", "/metrics/job/b/instance/", "/metrics/job/c/instance/i"] {
        // In a group that is there already, it takes the place of the gateway's own.
        world.put(0, path, "m 1\n");
        let answer = client.send("POST", path, &[("content-type", form)], body.clone()).unwrap();
        assert_eq!(answer.status, 200);
    }
    assert!(world.gateways[0].groups().is_err());
    let (code, report) = world.json("groups", &["--conflicts"]);
    assert_eq!((code, &report["unreadable"][0]["gateway"]), (1, &json!("g0")));
    let culprits = report["poisoned"][0]["culprits"].as_array().unwrap();
    let labels: Vec<&Value> = culprits.iter().map(|culprit| &culprit["labels"]).collect();
    let expected =
        [("", "a"), ("", "b"), ("i", "c")].map(|(instance, job)| json!({"instance": instance, "job": job}));
    assert_eq!(labels, expected.iter().collect::<Vec<_>>());
    run(culprits);
    wait_jobs(&world, [&["good"], &[]]);
    assert_eq!(world.run("groups", &["--conflicts"]).code, 0);
}
