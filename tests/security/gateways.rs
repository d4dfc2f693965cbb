//! Pushgateways with TLS and a password as members.

use std::fs;

use pushring_harness::{Mode, poll_until};

use crate::certificates::{Authority, replace};
use crate::curl::{Outcome, curl};
use crate::fleet::{AUTHORIZATION, SecureFleet};

#[test]
fn pushes_reach_gateways_with_tls_and_a_password_in_cluster_mode() {
    pushes_reach_gateways(Mode::Cluster);
}

#[test]
fn pushes_reach_gateways_with_tls_and_a_password_in_endpoint_mode() {
    pushes_reach_gateways(Mode::Endpoint);
}

/// From `register` through Consul, consul-template and Envoy to the gateways, and back to the operator by `groups` and
/// `sweep`.
fn pushes_reach_gateways(mode: Mode) {
    let mut fleet = SecureFleet::start(mode);
    for job in 0..10 {
        let (outcome, body) = curl("PUT", &fleet.url(&format!("/metrics/job/j{job}")), &[]);
        assert_eq!(outcome, Outcome::Status(200), "{body}");
    }
    let jobs = fleet.jobs();
    assert!(jobs.iter().all(|jobs| !jobs.is_empty()), "both gateways have groups: {jobs:?}");
    assert_eq!(jobs.iter().map(Vec::len).sum::<usize>(), 10);

    // The command reads them: 10 groups, each on its owner.
    fs::write(fleet.path("password"), "secret\n").unwrap();
    let groups = fleet.run("groups", "ca.pem", &["--output", "json"]);
    assert_eq!(groups.code, 0, "{groups:?}");
    assert_eq!(groups.json().unwrap()["groups"].as_array().unwrap().len(), 10);

    // A DELETE reaches the owner and, mirrored, its successor, both with credentials.
    let stale = &fleet.gateways[usize::from(jobs[0].contains(&"j0".to_owned()))];
    let ca = fleet.path("ca.pem").display().to_string();
    let direct = format!("https://{}/metrics/job/j0", stale.address);
    assert_eq!(curl("PUT", &direct, &["--cacert", &ca, "-u", "ops:secret"]).0, Outcome::Status(200));
    assert_eq!(curl("DELETE", &fleet.url("/metrics/job/j0"), &[]).0, Outcome::Status(202));
    poll_until("both copies to be deleted", || {
        fleet.jobs().iter().all(|jobs| !jobs.contains(&"j0".to_owned())).then_some(())
    })
    .unwrap();

    // A stale copy, which the sweep deletes.
    let stale = &fleet.gateways[usize::from(jobs[0].contains(&"j1".to_owned()))];
    let direct = format!("https://{}/metrics/job/j1", stale.address);
    assert_eq!(curl("PUT", &direct, &["--cacert", &ca, "-u", "ops:secret"]).0, Outcome::Status(200));
    let swept = fleet.run("sweep", "ca.pem", &["--dry-run", "--output", "json"]);
    assert_eq!(swept.code, 1, "{swept:?}");
    assert_eq!(swept.json().unwrap()["misplaced"][0]["labels"]["job"], "j1", "{swept:?}");

    rotation(&fleet);
    refusals(&mut fleet);
}

/// Envoy uses replaced files without a restart.
fn rotation(fleet: &SecureFleet) {
    replace(&fleet.path("authorization"), "Basic d3Jvbmc6d3Jvbmc=");
    fleet.wait_push("/metrics/job/a", &Outcome::Status(401));
    replace(&fleet.path("authorization"), AUTHORIZATION);
    fleet.wait_push("/metrics/job/a", &Outcome::Status(200));
}

/// A gateway whose certificate another authority signed gets nothing, and the messages name the reason.
fn refusals(fleet: &mut SecureFleet) {
    replace(&fleet.path("other-ca.pem"), &Authority::new("another").pem());
    let groups = fleet.run("groups", "other-ca.pem", &["--output", "json"]);
    assert_eq!(groups.code, 1);
    let reason = groups.json().unwrap()["unreadable"][0]["reason"].to_string();
    assert!(reason.contains("UnknownIssuer"), "{reason}");

    fs::write(fleet.path("password"), "wrong").unwrap();
    let groups = fleet.run("groups", "ca.pem", &["--output", "json"]);
    assert!(groups.json().unwrap()["unreadable"][0]["reason"].to_string().contains("401"), "{groups:?}");

    replace(&fleet.path("ca.pem"), &Authority::new("another").pem());
    // Open connections stay; Envoy verifies when it connects.
    fleet.restart_gateways();
    poll_until("a push to fail because of the certificate", || {
        let outcome = curl("PUT", &fleet.url("/metrics/job/a"), &[]).0;
        assert_ne!(outcome, Outcome::Status(200));
        // Envoy does not show the reason to the client.
        (outcome == Outcome::Status(503) && fleet.verification_failures() > 0).then_some(())
    })
    .unwrap();
}
