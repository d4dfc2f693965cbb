//! The states of groups with replicas.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pushring_harness::server::Request;
use pushring_harness::{GatewayFixture, Shift, poll_until};
use serde_json::{Value, json};

use crate::report::{column, rows};

/// Three gateways; each group has a replica.
fn fixture() -> GatewayFixture {
    let mut fixture = GatewayFixture::start(3);
    fixture.configure(json!({"mirror": "all"}));
    fixture
}

/// Returns a push path with this job whose group g0 owns and whose replica is g1.
fn path(fixture: &GatewayFixture, job: &str) -> String {
    fixture.placed(&[0, 1], job)
}

/// Returns `job on gateway: state code` for each row.
fn states(report: &Value) -> Vec<String> {
    let codes = column(report, "code");
    rows(report, "state").iter().zip(&codes).map(|(row, code)| format!("{row} {code}")).collect()
}

#[test]
fn reports_healthy_replicas_and_others() {
    let mut fixture = fixture();
    let put = |gateway: usize, job: &str, body: &str| fixture.put(gateway, &path(&fixture, job), body);
    put(0, "equal", "a 1\nb{x=\"1\"} 1\nb{x=\"2\"} 2\n");
    // Another order of the series is the same.
    put(1, "equal", "b{x=\"2\"} 2\nb{x=\"1\"} 1\na 1\n");
    put(0, "values", "a 2\nb 1\n");
    put(1, "values", "a 1\nb 1\n");
    put(0, "lacking", "a 1\nb 1\n");
    put(1, "lacking", "a 1\n");
    put(0, "more", "a 1\n");
    put(1, "more", "a 1\nb 1\n");
    put(0, "alone", "a 1\n");
    put(1, "lost", "a 1\n");
    put(2, "third", "a 1\n");
    assert_eq!(fixture.send(1, &path(&fixture, "stub"), "a 1 1\n"), 400);
    // Else these pushes may still be in flight. And each gateway started after them.
    (0..3).for_each(|gateway| fixture.age(gateway));

    let (code, report) = fixture.json("groups", &[]);
    assert_eq!(
        states(&report),
        [
            "alone on g0: in-place \"unreplicated\"",
            "equal on g0: in-place null",
            "equal on g1: replica null",
            "lacking on g0: in-place null",
            "lacking on g1: stale-replica \"replica_lacking\"",
            "lost on g1: left-behind \"lost_by_owner\"",
            "more on g0: in-place null",
            "more on g1: stale-replica \"lacking\"",
            "stub on g1: stub null",
            "third on g2: left-behind null",
            "values on g0: in-place null",
            "values on g1: stale-replica \"replica_differs\"",
        ]
    );
    assert_eq!((code, &report["unreplicated"]), (1, &json!(1)));
    assert_eq!(report["counts"]["stale-replica"], 3);
    assert!(column(&report, "replica").iter().all(|replica| replica == "g1"), "{report}");
    assert_eq!(fixture.json("groups", &["--job", "equal"]).0, 0);
    assert_eq!(fixture.json("groups", &["--job", "alone"]).0, 1);
    let (code, report) = fixture.json("groups", &["--state", "replica"]);
    assert_eq!((code, states(&report)), (0, vec!["equal on g1: replica null".to_owned()]));
    let text = fixture.run("groups", &["--job", "alone|values"]).stdout;
    assert!(text.contains("2 in-place, 1 stale-replica on 3 gateways; 1 without replica\n"), "{text}");

    // Without the setting, none of these is a replica.
    fixture.configure(json!({}));
    let (_, report) = fixture.json("groups", &["--job", "equal"]);
    assert_eq!(rows(&report, "state"), ["equal on g0: in-place", "equal on g1: duplicated"]);
    let absent = ["unreplicated", "replica"];
    assert!(absent.iter().all(|field| report.get(field).or(report["groups"][0].get(field)).is_none()));
}

#[test]
fn an_owner_that_runs_since_has_lost_nothing() {
    let fixture = fixture();
    // Within 2 s of its start, the owner may have started after the push.
    let path = path(&fixture, "left");
    let is_old = || {
        fixture.put(1, &path, "a 1\n");
        let (_, report) = fixture.json("groups", &[]);
        assert_eq!(rows(&report, "state"), ["left on g1: left-behind"]);
        (report["groups"][0]["code"] == "left_behind").then_some(())
    };
    poll_until("the reason of an owner that did not restart", is_old).unwrap();
}

#[test]
fn a_replica_is_unknown_while_its_owner_does_not_answer() {
    let mut fixture = fixture();
    let path = path(&fixture, "j");
    fixture.put(1, &path, "a 1\n");
    fixture.gateways[0].process.kill();
    let (code, report) = fixture.json("groups", &[]);
    assert_eq!((code, states(&report)), (1, vec!["j on g1: unknown \"owner_unreadable\"".to_owned()]));
}

/// Pushes to a gateway before it answers the given read of its API, counted from 1.
fn push_at_read(fixture: &mut GatewayFixture, gateway: usize, read: usize, path: &str, body: &'static str) {
    let (client, path) = (Mutex::new(fixture.client(gateway)), path.to_owned());
    let reads = Arc::new(AtomicUsize::new(0));
    fixture.proxy(gateway, Shift::default(), move |request: &Request| {
        if request.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) + 1 == read {
            assert_eq!(client.lock().unwrap().put(&path, body).unwrap().status, 200);
        }
    });
}

#[test]
fn a_push_in_flight_makes_no_replica_stale() {
    let mut fixture = fixture();
    let path = path(&fixture, "j");
    fixture.put(0, &path, "a 1\n");
    fixture.put(1, &path, "a 1\n");
    // The owner gets a push after the reading began, the replica before it is read again.
    push_at_read(&mut fixture, 0, 1, &path, "a 2\n");
    push_at_read(&mut fixture, 1, 2, &path, "a 2\n");
    let (code, report) = fixture.json("groups", &[]);
    assert_eq!(
        (code, rows(&report, "state")),
        (0, vec!["j on g0: in-place".into(), "j on g1: replica".into()])
    );

    // A mirrored push that never arrives is found at once.
    push_at_read(&mut fixture, 0, 1, &path, "a 3\n");
    let (code, report) = fixture.json("groups", &[]);
    assert_eq!((code, &report["groups"][1]["code"]), (1, &json!("replica_differs")));
}
