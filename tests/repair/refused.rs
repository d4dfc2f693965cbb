//! Differences that stay, and why.

use crate::fixture::{RepairFixture, send};
use serde_json::json;

const PATH: &str = "/metrics/job/j";

#[test]
fn requires_mirrored_pushes() {
    let mut fixture = RepairFixture::start(2);
    for settings in [json!({}), json!({"mirror": "deletes"}), json!({"mirror": "all", "mode": "redirect"})] {
        fixture.inner.configure(settings);
        for args in [&[][..], &["--dry-run"], &["--watch", "1s", "--single", "--listen", "127.0.0.1:0"]] {
            let output = fixture.sweep(args);
            assert_eq!(output.code, 2, "{} {}", output.stdout, output.stderr);
            assert!(output.stderr.contains("mirror: all"), "{}", output.stderr);
        }
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut fixture = RepairFixture::start(3);
    for job in 0..9 {
        fixture.mirrored("PUT", &format!("/metrics/job/j{job}"), "a 1\n");
    }
    fixture.lose(0);
    let before = fixture.exposed_all();
    let output = fixture.sweep(&["--dry-run"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    let report = output.json().unwrap();
    assert_eq!(report["dry_run"], true);
    assert_eq!(fixture.exposed_all(), before);
    let expected = report["repaired"].as_array().unwrap().clone();
    assert!(!expected.is_empty());
    let text = fixture.inner.run("sweep", &["--repair", "--dry-run"]).stdout;
    assert!(text.contains("WOULD BE COPIED") && text.contains("would be repaired"), "{text}");
    assert_eq!(fixture.repair(), expected);
}

#[test]
fn a_family_that_conflicts_is_not_copied() {
    let mut fixture = RepairFixture::start(2);
    let [owner, _] = fixture.places(PATH);
    let other = fixture.inner.path_of(owner, "other");
    fixture.mirrored("PUT", PATH, "a 1\n");
    fixture.lose(owner);
    fixture.send(owner, "PUT", &other, "# TYPE a counter\na 1\n");
    let output = fixture.sweep(&[]);
    assert_eq!(output.code, 1);
    let lines = output.json().unwrap()["repaired"].as_array().unwrap().clone();
    // Each of the two groups conflicts with the other on one of the gateways.
    assert!(lines.len() == 2 && lines.iter().all(|line| line["code"] == "type_conflict"), "{lines:?}");
    assert_eq!(fixture.gateway(owner).groups().unwrap().len(), 1);
}

#[test]
fn a_poisoned_gateway_is_left_alone() {
    let mut fixture = RepairFixture::start(2);
    fixture.mirrored("PUT", PATH, "a 1\n");
    let [owner, replica] = fixture.places(PATH);
    fixture.lose(owner);
    let client = fixture.inner.client(replica);
    assert_eq!(client.put("/metrics/job/bad%ff", "m 1\n").unwrap().status, 400);
    let output = fixture.sweep(&[]);
    assert_eq!(output.code, 1);
    let report = output.json().unwrap();
    assert_eq!(report["unreadable"][0]["gateway"], format!("g{replica}"), "{report}");
    assert_eq!(fixture.gateway(owner).groups().unwrap(), []);
    send(fixture.gateway(replica), "DELETE", "/metrics/job/bad%ff", "");
}
