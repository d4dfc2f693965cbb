//! `pushring expire`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pushring_harness::gateway_fixture::HOUR_OLD;
use pushring_harness::{Consul, GatewayFixture, Shift};
use serde_json::json;

use crate::report::{jobs, rows, wait_jobs};

const NOW: &[&str] = &["--settle", "0s"];

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [NOW, more].concat()
}

/// Stores three jobs on g0, where everything is an hour old, and one on g1.
fn fixture() -> GatewayFixture {
    let mut fixture = GatewayFixture::start(2);
    for job in ["backup", "ci", "other"] {
        fixture.put(0, &format!("/metrics/job/{job}"), "a 1\n");
    }
    fixture.put(1, "/metrics/job/ci", "a 1\n");
    fixture.age(0);
    fixture
}

#[test]
fn expires_each_job_by_its_own_rule() {
    let fixture = fixture();
    let rules =
        ["--after", "2h", "--job", "c.=30m", "--job", "backup|ci=1s", "--job", "b=1s", "--job", "o=never"];
    let (code, report) = fixture.json("expire", &[&rules[..], &["--dry-run"]].concat());
    assert_eq!((code, &report["fresh"], &report["dry_run"]), (1, &json!(2), &json!(true)));
    assert_eq!(rows(&report, "result"), ["backup on g0: deleted", "ci on g0: deleted"]);
    assert_eq!(jobs(&fixture), [vec!["backup", "ci", "other"], vec!["ci"]]);

    let (code, report) = fixture.json("expire", &args(&rules));
    assert_eq!((code, &report["fresh"], &report["unreadable"]), (0, &json!(2), &json!([])));
    let row = report["groups"][0].as_object().unwrap();
    assert_eq!(row.keys().collect::<Vec<_>>(), ["age_seconds", "labels", "on", "result"]);
    wait_jobs(&fixture, [&["other"], &["ci"]]);
    // With rules for jobs only, no other job expires; `never` disables expiry.
    assert_eq!(fixture.run("expire", &args(&["--job", "oth=1s"])).code, 0);
    assert_eq!(fixture.run("expire", &args(&["--after", "1s", "--job", "other|ci=never"])).code, 0);
    wait_jobs(&fixture, [&["other"], &["ci"]]);
    let output = fixture.run("expire", &args(&["--after", "30m"]));
    assert!(output.code == 0 && output.stdout.ends_with("1 fresh, 1 deleted, 0 kept\n"), "{output:?}");
    wait_jobs(&fixture, [&[], &["ci"]]);
}

#[test]
fn keeps_and_reports_a_group_of_unknown_age() {
    let fixture = fixture();
    assert_eq!(fixture.send(0, "/metrics/job/x%ff", "a 1\n"), 400);
    let (code, report) = fixture.json("expire", &args(&["--after", "30m"]));
    assert_eq!((code, &report["fresh"]), (1, &json!(1)));
    assert_eq!(rows(&report, "result")[3..], ["x\u{fffd} on g0: kept"]);
    assert_eq!(rows(&report, "code")[3..], ["x\u{fffd} on g0: not_utf8"]);
    assert_eq!(report["groups"][3]["age_seconds"], json!(null));
    wait_jobs(&fixture, [&["x\u{fffd}"], &["ci"]]);
}

#[test]
fn a_stub_expires_by_its_last_rejected_push() {
    let fixture = fixture();
    // On g0 it is an hour old, on g1 it is new.
    for gateway in [0, 1] {
        assert_eq!(fixture.send(gateway, "/metrics/job/stub", "# TYPE a counter\na 1\n"), 400);
    }
    // A group with data and a later rejected push is no stub.
    assert_eq!(fixture.send(0, "/metrics/job/other", "# TYPE a counter\na 1\n"), 400);
    let (code, report) = fixture.json("expire", &args(&["--job", "stub=30m"]));
    assert_eq!((code, &report["fresh"]), (0, &json!(5)));
    assert_eq!(rows(&report, "result"), ["stub on g0: deleted"]);
    assert!((3599..3660).contains(&report["groups"][0]["age_seconds"].as_i64().unwrap()), "{report}");
    wait_jobs(&fixture, [&["backup", "ci", "other"], &["ci", "stub"]]);
}

#[test]
fn keeps_a_group_that_was_pushed_to_after_the_survey() {
    let mut fixture = fixture();
    let client = Mutex::new(fixture.client(0));
    let reads = AtomicUsize::new(0);
    fixture.proxy(0, HOUR_OLD, move |request| {
        if request.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            client.lock().unwrap().post("/metrics/job/ci", "a 2\n").unwrap();
        }
    });
    let (code, report) = fixture.json("expire", &args(&["--after", "30m"]));
    assert_eq!(code, 1);
    assert_eq!(rows(&report, "result"), ["backup on g0: deleted", "ci on g0: kept", "other on g0: deleted"]);
    wait_jobs(&fixture, [&["ci"], &["ci"]]);
    assert!(fixture.gateways[0].metrics().unwrap().contains("\na{instance=\"\",job=\"ci\"} 2\n"));
}

#[test]
fn corrects_wrong_clocks() {
    let mut fixture = GatewayFixture::start(2);
    fixture.put(0, "/metrics/job/ahead", "a 1\n");
    fixture.put(1, "/metrics/job/behind", "a 1\n");
    fixture.proxy(0, Shift { clock: 7200, age: 1200, ..Shift::default() }, |_| ());
    fixture.proxy(1, Shift::clock(-7200), |_| ());
    let (code, report) = fixture.json("expire", &args(&["--after", "10m"]));
    assert_eq!((code, rows(&report, "result")), (0, vec!["ahead on g0: deleted".to_owned()]));
    wait_jobs(&fixture, [&[], &["behind"]]);
}

#[test]
fn continues_if_a_gateway_does_not_answer() {
    let mut fixture = fixture();
    fixture.gateways[1].process.kill();
    let (code, report) = fixture.json("expire", &args(&["--after", "30m"]));
    assert_eq!((code, rows(&report, "result").len()), (1, 3));
    assert_eq!(report["unreadable"][0]["gateway"], "g1");
    assert!(fixture.gateways[0].groups().unwrap().is_empty());
}

#[test]
fn rejects_a_run_without_rules_or_without_safety() {
    let fixture = fixture();
    for wrong in [
        &[][..],
        &["--after", "0s"],
        &["--job", "a=0s"],
        &["--job", "a"],
        &["--job", "a=never", "--after", "x"],
    ] {
        let output = fixture.run("expire", wrong);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{wrong:?}");
    }
    // Envoy would reject this ring, so the members are unknown.
    let consul = Consul::start(fixture.dir.path()).unwrap();
    consul.register(fixture.addresses[0], "critical").unwrap();
    let url = format!("http://{}", consul.address);
    assert_eq!(fixture.run("expire", &args(&["--after", "1s", "--consul", &url])).code, 2);
    assert_eq!(jobs(&fixture), [vec!["backup", "ci", "other"], vec!["ci"]]);
}
