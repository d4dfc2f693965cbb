//! Gateways poisoned in every known way; the printed command repairs each.

use std::process::Command;

use pushring_harness::{GatewayFixture, poll_until};
use serde_json::{Value, json};

use crate::report::wait_jobs;

const UNCHECKED: &[&str] = &["--push.disable-consistency-check"];

fn poisoned(fixture: &GatewayFixture) -> Value {
    let healthy = || (fixture.gateways[0].metrics().is_err()).then_some(());
    poll_until("the gateway to be poisoned", healthy).unwrap();
    let (code, report) = fixture.json("groups", &["--conflicts"]);
    assert_eq!((code, report["poisoned"].as_array().unwrap().len()), (1, 1), "{report}");
    let table = fixture.run("groups", &["--conflicts"]).stdout;
    assert!(table.contains("g0 is poisoned: ") && table.contains(" 1 poisoned, on 2 gateways"), "{table}");
    report["poisoned"][0].clone()
}

/// Runs the printed commands and returns the labels of their groups.
fn run(culprits: &[Value]) -> Vec<Value> {
    let run = |culprit: &Value| {
        let command = culprit["mend"].as_str().unwrap();
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        culprit["labels"].clone()
    };
    culprits.iter().map(run).collect()
}

/// Runs the printed commands until nothing is poisoned; returns the labels of the culprits.
fn mend(fixture: &GatewayFixture) -> Vec<Value> {
    let poisoned = poisoned(fixture);
    let mut blamed = run(poisoned["culprits"].as_array().unwrap());
    blamed.sort_by_key(Value::to_string);
    let healthy = || fixture.gateways[0].metrics().is_ok().then_some(());
    poll_until(&format!("the gateway to be healthy after {poisoned}"), healthy).unwrap();
    assert_eq!(fixture.json("groups", &["--conflicts"]).1["poisoned"], json!([]));
    blamed
}

#[test]
fn finds_values_that_are_not_utf8_byte_for_byte() {
    let fixture = GatewayFixture::start(2);
    fixture.put(0, "/metrics/job/good/x/1", "m 1\n");
    for path in [
        "/metrics/job/a%ff",
        "/metrics/job/a%fe/x/%e2%82",
        "/metrics/job@base64/_-__/x/1",
        "/metrics/job/b%0a%09%22%5c%7f%c2%85%7d%ff%01/instance/",
        "/metrics/job/good/x/%ff",
    ] {
        assert_eq!(fixture.send(0, path, "m 1\n"), 400, "{path}");
    }
    // The stub of a victim is not a culprit.
    assert_eq!(fixture.send(0, "/metrics/job/victim", "m 1\n"), 400);
    let expected = [
        json!({"instance": "", "job": "b\n\t\"\\\u{7f}\u{85}}\u{fffd}\u{1}"}),
        json!({"job": "a\u{fffd}", "x": "\u{fffd}\u{fffd}"}),
        json!({"job": "a\u{fffd}"}),
        json!({"job": "good", "x": "\u{fffd}"}),
        json!({"job": "\u{fffd}\u{fffd}\u{fffd}", "x": "1"}),
    ];
    assert_eq!(mend(&fixture), expected);
    wait_jobs(&fixture, [&["good", "victim"], &[]]);
}

#[test]
fn finds_unchecked_values_that_are_not_utf8() {
    let fixture = GatewayFixture::with_flags(2, UNCHECKED);
    // This group has the same family and the same label.
    fixture.put(0, "/metrics/job/good", "m{x=\"1\"} 1\nm 1\n");
    fixture.put(0, "/metrics/job/good/x/%ff", "m 1\n");
    fixture.put(0, "/metrics/job/bad%ff", "m 1\n");
    assert_eq!(mend(&fixture), [json!({"job": "bad\u{fffd}"}), json!({"job": "good", "x": "\u{fffd}"})]);
    wait_jobs(&fixture, [&["good"], &[]]);
}

#[test]
fn finds_names_that_only_utf8_mode_accepts() {
    let fixture = GatewayFixture::with_flags(2, &["--push.enable-utf8-names"]);
    fixture.put(0, "/metrics/job/a", "m 1\n");
    assert_eq!(fixture.send(0, "/metrics/job/a/U______x/v", "m 1\n"), 400);
    assert_eq!(fixture.send(0, "/metrics/job/a/%C3%BC%20b/%ff", "m 1\n"), 400);
    let expected = [json!({"__x": "v", "job": "a"}), json!({"job": "a", "ü b": "\u{fffd}"})];
    assert_eq!(mend(&fixture), expected);
    wait_jobs(&fixture, [&["a"], &[]]);
}

#[test]
fn deletes_the_stub_of_an_empty_instance() {
    for (first, second, blamed) in [
        ("/metrics/job/a", "/metrics/job/a/instance/", json!({"job": "a", "instance": ""})),
        ("/metrics/job/a/instance/", "/metrics/job/a", json!({"job": "a"})),
    ] {
        let fixture = GatewayFixture::start(2);
        fixture.put(0, first, "m 1\n");
        assert_eq!(fixture.send(0, second, "m 1\n"), 400);
        assert_eq!(fixture.send(0, "/metrics/job/a/instance/i", "m 1\n"), 400);
        assert_eq!(mend(&fixture), [blamed]);
        assert!(fixture.gateways[0].metrics().unwrap().contains("\nm{instance=\"\",job=\"a\"} 1\n"));
    }
}

#[test]
fn deletes_the_older_of_two_groups_with_one_series() {
    let fixture = GatewayFixture::with_flags(2, UNCHECKED);
    fixture.put(0, "/metrics/job/a", "m{x=\"1\"} 1\n");
    wait_jobs(&fixture, [&["a"], &[]]);
    fixture.put(0, "/metrics/job/a/x/1", "m 2\n");
    // This group has the family but not the series.
    fixture.put(0, "/metrics/job/a/y/1", "m 2\n");
    assert_eq!(mend(&fixture), [json!({"job": "a"})]);
    wait_jobs(&fixture, [&["a", "a"], &[]]);
}

#[test]
fn finds_a_repeated_series_in_one_group() {
    let fixture = GatewayFixture::with_flags(2, UNCHECKED);
    fixture.put(0, "/metrics/job/good", "m 1\n");
    fixture.put(0, "/metrics/job/a/instance/i", "m 1\nm 2\n");
    assert_eq!(mend(&fixture), [json!({"job": "a", "instance": "i"})]);
    wait_jobs(&fixture, [&["good"], &[]]);
}

#[test]
fn deletes_the_rarer_type_of_a_family() {
    let fixture = GatewayFixture::with_flags(2, UNCHECKED);
    for job in ["a", "b", "c"] {
        fixture.put(0, &format!("/metrics/job/{job}"), "# TYPE m gauge\nm 1\n");
    }
    fixture.put(0, "/metrics/job/odd", "# TYPE m counter\nm 1\n");
    fixture.put(0, "/metrics/job/other", "# TYPE other counter\nother 1\n");
    // The culprit does not depend on the order in which the gateway finds the groups.
    for _ in 0..5 {
        let culprits = poisoned(&fixture)["culprits"].clone();
        assert_eq!(culprits.as_array().unwrap().len(), 1, "{culprits}");
        assert_eq!(culprits[0]["code"], "type_conflict");
    }
    assert_eq!(fixture.json("groups", &["--conflicts"]).1["conflicts"][0]["family"], "m");
    assert_eq!(mend(&fixture), [json!({"job": "odd"})]);
}

#[test]
fn deletes_the_rarer_of_colliding_families() {
    let fixture = GatewayFixture::with_flags(2, UNCHECKED);
    for job in ["a", "b"] {
        let body = "# TYPE m histogram\nm_bucket{le=\"+Inf\"} 1\nm_sum 1\nm_count 1\n";
        fixture.put(0, &format!("/metrics/job/{job}"), body);
    }
    fixture.put(0, "/metrics/job/odd", "# TYPE m_count counter\nm_count 1\n");
    fixture.put(0, "/metrics/job/other", "# TYPE other counter\nother 1\n");
    assert_eq!(mend(&fixture), [json!({"job": "odd"})]);
}

#[test]
fn finds_a_family_that_collides_with_the_gateways_own() {
    let fixture = GatewayFixture::with_flags(2, UNCHECKED);
    fixture.put(0, "/metrics/job/good", "m 1\n");
    fixture.put(0, "/metrics/job/own", "# TYPE go_goroutines counter\ngo_goroutines 1\n");
    assert_eq!(mend(&fixture), [json!({"job": "own"})]);
}

#[test]
fn finds_a_gauge_of_the_gateway_with_another_type() {
    let fixture = GatewayFixture::with_flags(2, UNCHECKED);
    fixture.put(0, "/metrics/job/bad", "m 1\n");
    for job in 0..20 {
        fixture.put(0, &format!("/metrics/job/{job}"), "m 1\n");
    }
    let body = "# TYPE push_failure_time_seconds counter\npush_failure_time_seconds 1\n";
    fixture.client(0).post("/metrics/job/bad", body).unwrap();
    // If the gateway finds this one first, it complains about all others.
    assert_eq!(mend(&fixture), [json!({"job": "bad"})]);
}

#[test]
fn finds_culprits_by_the_scrape_error_alone() {
    let fixture = GatewayFixture::with_flags(2, UNCHECKED);
    fixture.put(0, "/metrics/job/good/x/1", "m 1\n");
    // The API shows the family in place of the group's labels.
    fixture.put(0, "/metrics/job/hidden%ff/x/1", "labels 1\n");
    let poisoned = poisoned(&fixture);
    assert_eq!((&poisoned["errors"], &poisoned["on_ring"]), (&json!(3), &json!(true)));
    assert!(poisoned["error"].as_str().unwrap().starts_with("collected metric \""), "{poisoned}");
    assert_eq!(mend(&fixture), [json!({"job": "hidden\u{fffd}", "x": "1"})]);
    assert!(fixture.gateways[0].metrics().unwrap().contains("\nm{"));
}

#[test]
fn finds_a_group_that_breaks_the_api() {
    let fixture = GatewayFixture::start(2);
    fixture.put(0, "/metrics/job/good", "m 1\n");
    let client = fixture.client(0);
    // The gateway's own family without a metric, as delimited protobuf.
    let name = b"push_failure_time_seconds";
    let length = u8::try_from(name.len()).unwrap();
    let body = [&[length + 4, 0x0a, length], &name[..], &[0x18, 0x01]].concat();
    let form = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    for path in ["/metrics/job/a", "/metrics/job/b/instance/", "/metrics/job/c/instance/i"] {
        // In an existing group it replaces the gateway's own family.
        fixture.put(0, path, "m 1\n");
        let answer = client.send("POST", path, &[("content-type", form)], body.clone()).unwrap();
        assert_eq!(answer.status, 200);
    }
    assert!(fixture.gateways[0].groups().is_err());
    let (code, report) = fixture.json("groups", &["--conflicts"]);
    assert_eq!((code, &report["unreadable"][0]["gateway"]), (1, &json!("g0")));
    let culprits = report["poisoned"][0]["culprits"].as_array().unwrap();
    let labels: Vec<&Value> = culprits.iter().map(|culprit| &culprit["labels"]).collect();
    let expected =
        [("", "a"), ("", "b"), ("i", "c")].map(|(instance, job)| json!({"instance": instance, "job": job}));
    assert_eq!(labels, expected.iter().collect::<Vec<_>>());
    run(culprits);
    wait_jobs(&fixture, [&["good"], &[]]);
    assert_eq!(fixture.run("groups", &["--conflicts"]).code, 0);
}
