//! Faults that only a sequence of pushes shows: the group to blame of two, and whether later pushes are accepted again.

use std::process::Command;

use pushring_harness::proto::{
    CONTENT_TYPE, COUNTER, GAUGE, HISTOGRAM, SUMMARY, bytes, family, gauge, metric, one, summary,
};
use pushring_harness::{GatewayFixture, poll_until};
use serde_json::{Value, json};

use crate::report::wait_jobs;

const ROWS: &str = "# TYPE rows gauge\nrows 42\n";
/// Answers that would include an error by chance.
const REPEATS: usize = 8;

fn post(fixture: &GatewayFixture, path: &str, body: &[u8]) -> u16 {
    let headers = [("content-type", CONTENT_TYPE)];
    fixture.client(0).send("POST", path, &headers, body.to_vec()).unwrap().status
}

/// Pushes until the gateway accepts it, or rejects it.
fn post_until(fixture: &GatewayFixture, path: &str, body: &[u8], status: u16) {
    let until = || (post(fixture, path, body) == status).then_some(());
    poll_until(&format!("{path}: {status}"), until).unwrap();
}

fn culprits(fixture: &GatewayFixture) -> Vec<Value> {
    let report = fixture.json("groups", &["--conflicts"]).1;
    let poisoned = report["poisoned"].as_array().unwrap();
    poisoned.iter().flat_map(|poisoned| poisoned["culprits"].as_array().unwrap().clone()).collect()
}

fn jobs(culprits: &[Value]) -> Vec<&str> {
    let mut jobs: Vec<&str> =
        culprits.iter().map(|culprit| culprit["labels"]["job"].as_str().unwrap()).collect();
    jobs.sort_unstable();
    jobs
}

fn mend(culprits: &[Value]) {
    for culprit in culprits {
        let command = culprit["mend"].as_str().unwrap();
        assert!(Command::new("sh").args(["-c", command]).output().unwrap().status.success(), "{command}");
    }
}

#[test]
fn families_without_metrics_never_outvote_one_with_metrics() {
    let fixture = GatewayFixture::start(2);
    fixture.put(0, "/metrics/job/honest", ROWS);
    let odd = family("rows", COUNTER, &[]);
    for job in ["o1", "o2"] {
        post_until(&fixture, &format!("/metrics/job/{job}"), &odd, 200);
    }
    // Whether the gateway answers 500 or not.
    for _ in 0..REPEATS {
        assert_eq!(jobs(&culprits(&fixture)), ["o1", "o2"]);
    }
    mend(&culprits(&fixture));
    wait_jobs(&fixture, [&["honest"], &[]]);
    for _ in 0..REPEATS {
        fixture.put(0, "/metrics/job/honest", ROWS);
    }
    assert!(fixture.gateways[0].metrics().unwrap().contains("\nrows{"));
    assert_eq!(fixture.run("groups", &["--conflicts"]).code, 0);
}

#[test]
fn families_without_metrics_are_found_alone_if_pushes_fail() {
    for (odd, honest) in [
        (family("rows", COUNTER, &[]), one("rows", GAUGE, &[gauge(42.0)])),
        (family("rows", HISTOGRAM, &[]), one("rows_count", GAUGE, &[gauge(42.0)])),
    ] {
        let fixture = GatewayFixture::start(2);
        for job in ["o1", "o2"] {
            assert_eq!(post(&fixture, &format!("/metrics/job/{job}"), &odd), 200);
        }
        fixture.put(0, "/metrics/job/other", "other 1\n");
        assert_eq!(culprits(&fixture), Vec::<Value>::new(), "no push failed");
        post_until(&fixture, "/metrics/job/honest", &honest, 400);
        assert_eq!(jobs(&culprits(&fixture)), ["o1", "o2"]);
        mend(&culprits(&fixture));
        wait_jobs(&fixture, [&["honest", "other"], &[]]);
        for _ in 0..REPEATS {
            assert_eq!(post(&fixture, "/metrics/job/honest", &honest), 200);
        }
        assert_eq!(fixture.run("groups", &["--conflicts"]).code, 0);
    }
}

#[test]
fn empty_label_is_to_blame_although_its_group_is_newer() {
    for (body, first) in [("rows 0\n", "clean"), ("other 1\n", "clean"), ("rows 0\n", "empty")] {
        let fixture = GatewayFixture::start(2);
        let clean = || fixture.put(0, "/metrics/job/clean", "rows 1\n");
        let empty = || fixture.put(0, "/metrics/job/clean/env/", body);
        if first == "clean" {
            clean();
            empty();
        } else {
            empty();
            clean();
        }
        let culprits = culprits(&fixture);
        let labels: Vec<&Value> = culprits.iter().map(|culprit| &culprit["labels"]).collect();
        assert_eq!(labels, [&json!({"env": "", "job": "clean"})]);
        let reason = culprits[0]["reason"].as_str().unwrap();
        assert!(
            reason.contains("; this group has an empty label: env; the other is in {job=\"clean\"}"),
            "{reason}"
        );
        mend(&culprits);
        wait_jobs(&fixture, [&["clean"], &[]]);
        assert!(fixture.gateways[0].metrics().unwrap().contains("\nrows{instance=\"\",job=\"clean\"} 1\n"));
        assert_eq!(fixture.run("groups", &["--conflicts"]).code, 0);
    }
}

#[test]
fn first_push_can_clash_with_metrics_that_the_gateway_has_later() {
    for body in [
        family("pushgateway_http_push_duration_seconds", SUMMARY, &[bytes(2, b"mine")]),
        one("pushgateway_http_push_duration_seconds", GAUGE, &[gauge(1.0)]),
        one("pushgateway_http_push_size_bytes_count", GAUGE, &[gauge(1.0)]),
    ] {
        let fixture = GatewayFixture::start(2);
        assert_eq!(post(&fixture, "/metrics/job/bad", &body), 200);
        assert!(fixture.gateways[0].metrics().is_err());
        assert_eq!(fixture.send(0, "/metrics/job/honest", ROWS), 400);
        assert_eq!(jobs(&culprits(&fixture)), ["bad"]);
        mend(&culprits(&fixture));
        fixture.put(0, "/metrics/job/honest", ROWS);
        assert_eq!(fixture.run("groups", &["--conflicts"]).code, 0);
    }
}

#[test]
fn groups_with_metrics_like_those_of_the_gateway_stay() {
    let fixture = GatewayFixture::with_flags(2, &["--push.disable-consistency-check"]);
    fixture.put(0, "/metrics/job/other", "other 1\n");
    let name = "pushgateway_http_push_duration_seconds";
    let metrics = fixture.gateways[0].metrics().unwrap();
    let help = metrics.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} "))).unwrap();
    let of_help = |help: &str| family(name, SUMMARY, &[metric(&[summary(&[0.5])]), bytes(2, help)]);
    assert_eq!(post(&fixture, "/metrics/job/fine", &of_help(help)), 202);
    assert_eq!(fixture.run("groups", &["--conflicts"]).code, 0);
    assert_eq!(post(&fixture, "/metrics/job/bad", &of_help("mine")), 202);
    // Whether the gateway answers 500 or not.
    for _ in 0..REPEATS {
        assert_eq!(jobs(&culprits(&fixture)), ["bad"]);
    }
    mend(&culprits(&fixture));
    wait_jobs(&fixture, [&["fine", "other"], &[]]);
    assert_eq!(fixture.run("groups", &["--conflicts"]).code, 0);
}
