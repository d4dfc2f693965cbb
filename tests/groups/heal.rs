//! `pushring sweep --heal` deletes stubs that poison their gateway, and nothing else.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use pushring_harness::{GatewayFixture, Shift};
use serde_json::{Value, json};

use crate::report::wait_jobs;

/// The hash of its `push_time_seconds` is that of `push_time_seconds{instance="",job="honest"}`; as base64.
const COLLIDES: &str = "/metrics/job@base64/eGFyanZ5eHU7Tghue3BQPg";

const HEAL: &[&str] = &["--settle", "0s", "--heal"];

/// Returns the job, the gateway and a field of each healed stub.
fn stubs(report: &Value, field: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let stub = |stub: &Value| {
        format!("{} on {}: {}", text(&stub["labels"]["job"]), text(&stub["on"]), text(&stub[field]))
    };
    let mut stubs: Vec<String> = report["healed"].as_array().unwrap().iter().map(stub).collect();
    stubs.sort();
    stubs
}

#[test]
fn deletes_stubs_that_poison_and_nothing_else() {
    let fixture = GatewayFixture::start(2);
    fixture.put(0, "/metrics/job/honest", "m 1\n");
    // A harmless stub, and three that poison.
    assert_eq!(fixture.send(0, "/metrics/job/stub", "# TYPE m counter\nm 1\n"), 400);
    assert_eq!(fixture.send(0, COLLIDES, "x 1\n"), 400);
    assert_eq!(fixture.send(0, "/metrics/job/bad%ff", "x 1\n"), 400);
    assert_eq!(fixture.send(0, "/metrics/job/honest/instance/", "x 1\n"), 400);
    fixture.put(1, "/metrics/job/other", "m 1\n");
    let collides = "xarjvyxu;N\u{8}n{pP>";

    // Without the flag, nothing is healed; with --dry-run, the stubs are listed.
    assert!(fixture.json("sweep", &["--settle", "0s"]).1.get("healed").is_none());
    let (code, report) = fixture.json("sweep", &["--heal", "--dry-run"]);
    assert_eq!((code, report["healed"].as_array().unwrap().len()), (1, 3), "{report}");
    assert!(fixture.gateways[0].metrics().is_err());

    let (_, report) = fixture.json("sweep", HEAL);
    let expected = [
        "bad\u{fffd} on g0: deleted".to_owned(),
        "honest on g0: deleted".to_owned(),
        format!("{collides} on g0: deleted"),
    ];
    assert_eq!(stubs(&report, "result"), expected);
    assert!(report["healed"][0]["poison"].as_str().is_some(), "{report}");
    wait_jobs(&fixture, [&["honest", "stub"], &["other"]]);
    assert!(fixture.gateways[0].metrics().unwrap().contains("\nm{instance=\"\",job=\"honest\"} 1\n"));
    fixture.put(0, "/metrics/job/honest", "m 2\n");
    assert_eq!(fixture.json("sweep", HEAL).1["healed"], json!([]));
}

#[test]
fn keeps_groups_with_data_that_poison() {
    let fixture = GatewayFixture::with_flags(2, &["--push.disable-consistency-check"]);
    fixture.put(0, "/metrics/job/bad%ff", "m 1\n");
    fixture.put(0, "/metrics/job/honest", "m 1\n");
    fixture.put(0, COLLIDES, "m 1\n");
    let (_, report) = fixture.json("sweep", HEAL);
    assert_eq!(report["healed"], json!([]));
    assert_eq!(fixture.gateways[0].groups().unwrap().len(), 3);
}

#[test]
fn says_that_a_stub_is_kept_if_a_group_with_data_looks_alike() {
    let fixture = GatewayFixture::start(2);
    // The API shows both jobs as `a` and U+FFFD.
    fixture.put(0, "/metrics/job/a%ef%bf%bd", "m 1\n");
    assert_eq!(fixture.send(0, "/metrics/job/a%ff", "m 1\n"), 400);
    let kept = vec!["a\u{fffd} on g0: not_utf8".to_owned()];
    for args in [&["--heal", "--dry-run"], HEAL] {
        let (code, report) = fixture.json("sweep", args);
        assert_eq!((code, stubs(&report, "code")), (1, kept.clone()), "{report}");
        assert_eq!(report["healed"][0]["result"], "kept");
    }
    let text = fixture.run("sweep", &["--heal", "--dry-run"]).stdout;
    assert!(text.contains(", 0 would be healed") && text.contains("cannot be identified"), "{text}");

    // Another stub on the same gateway is deleted all the same.
    assert_eq!(fixture.send(0, "/metrics/job/b%ff", "m 1\n"), 400);
    let (_, report) = fixture.json("sweep", HEAL);
    let results = ["a\u{fffd} on g0: kept", "b\u{fffd} on g0: deleted"].map(str::to_owned);
    assert_eq!(stubs(&report, "result"), results);
    assert_eq!(fixture.counts(), [2, 0]);
}

#[test]
fn keeps_a_stub_that_changed_since_it_was_found() {
    let mut fixture = GatewayFixture::start(2);
    fixture.put(0, "/metrics/job/honest", "m 1\n");
    assert_eq!(fixture.send(0, COLLIDES, "x 1\n"), 400);
    let client = Mutex::new(fixture.client(0));
    let armed = AtomicBool::new(false);
    // Another client heals the gateway and pushes to the group between the two diagnoses: before the second `/metrics`.
    fixture.proxy(0, Shift::default(), move |request| {
        if request.path == "/metrics" && armed.swap(true, Ordering::Relaxed) {
            let client = client.lock().unwrap();
            client.delete("/metrics/job/honest").unwrap();
            client.put(COLLIDES, "x 1\n").unwrap();
        }
    });
    let (code, report) = fixture.json("sweep", HEAL);
    assert_eq!((code, stubs(&report, "code")), (1, vec!["xarjvyxu;N\u{8}n{pP> on g0: changed".to_owned()]));
    assert_eq!(fixture.counts(), [1, 0]);
}

#[test]
fn reports_a_gateway_whose_metrics_cannot_be_read() {
    let fixture = GatewayFixture::with_flags(2, &["--web.telemetry-path=/elsewhere"]);
    let (code, report) = fixture.json("sweep", HEAL);
    assert_eq!((code, report["unreadable"].as_array().unwrap().len()), (1, 2), "{report}");
    assert!(report["unreadable"][0]["reason"].as_str().unwrap().contains("/metrics: HTTP 404"), "{report}");
}
