//! With replicas, a copy on the first successor is in place, and any other copy needs both to be deleted.

use pushring_harness::{GatewayFixture, Shift};
use serde_json::{Value, json};

use crate::concurrent::at_second_read;
use crate::report::{misplaced, sweep};

/// Starts three gateways with a group of g0 whose replica is g1 and that g2 stored an hour ago.
fn third_copy() -> (GatewayFixture, String) {
    let mut fixture = GatewayFixture::start(3);
    fixture.configure(json!({"mirror": "all"}));
    let path = fixture.placed(&[0, 1], "j");
    fixture.put(2, &path, "a 1\nb 1\n");
    fixture.age(2);
    (fixture, path)
}

/// Returns the code of the reason why the copy on g2 was kept, or `null` if it was deleted.
fn kept(fixture: &GatewayFixture) -> String {
    let output = sweep(fixture, &[]);
    let (result, code) = misplaced(&output)["g2"].clone();
    assert_eq!(output.code, i32::from(result == "kept"), "{output:?}");
    code
}

#[test]
fn deletes_a_third_copy_only_if_owner_and_replica_hold_all_of_it() {
    let (mut fixture, path) = third_copy();
    fixture.put(0, &path, "a 2\nb 2\n");
    let forecast = sweep(&fixture, &["--dry-run"]);
    assert_eq!(misplaced(&forecast)["g2"], ("kept".to_owned(), "unreplicated".to_owned()));
    assert_eq!(kept(&fixture), "unreplicated");
    fixture.put(1, &path, "a 2\n");
    assert_eq!(kept(&fixture), "unreplicated");
    assert_eq!(fixture.counts(), [1, 1, 1]);
    // The replica may hold what the third gateway holds, but nothing older.
    fixture.put(1, &path, "a 1\nb 2\n");
    fixture.proxy(1, Shift::age(7200), |_| ());
    assert_eq!(kept(&fixture), "unreplicated");
    fixture.put(1, &path, "a 1\nb 1\n");
    assert_eq!(kept(&fixture), "null");
    assert_eq!(fixture.counts(), [1, 1, 0]);
}

#[test]
fn deletes_no_copy_on_a_replica() {
    let (fixture, path) = third_copy();
    fixture.put(1, &path, "a 1\n");
    let lone = fixture.placed(&[0, 1], "lone");
    fixture.put(1, &lone, "a 1\n");
    let output = sweep(&fixture, &["--orphans-after", "59m"]);
    // The copy on g2 is the orphan.
    assert_eq!((output.code, fixture.counts()), (0, vec![0, 2, 0]), "{output:?}");
    let report: Value = output.json().unwrap();
    assert_eq!((&report["in_place"], &report["replicas"]), (&json!(0), &json!(2)));
    let text = fixture.run("sweep", &["--settle", "0s"]).stdout;
    assert_eq!(text, "0 in place, 2 on replicas, 0 deleted, 0 kept\n");
}

#[test]
fn keeps_a_third_copy_if_the_replica_does_not_answer() {
    let (mut fixture, path) = third_copy();
    fixture.put(0, &path, "a 2\nb 2\n");
    fixture.gateways[1].process.kill();
    assert_eq!(kept(&fixture), "replica_unreadable");
}

#[test]
fn keeps_a_third_copy_if_the_replica_loses_the_group_after_the_survey() {
    let (mut fixture, path) = third_copy();
    fixture.put(0, &path, "a 2\nb 2\n");
    fixture.put(1, &path, "a 2\nb 2\n");
    let (client, deleted) = (std::sync::Mutex::new(fixture.client(1)), path.clone());
    let hook = at_second_read(move || {
        assert_eq!(client.lock().unwrap().put(&deleted, "a 3\n").unwrap().status, 200);
    });
    fixture.proxy(1, Shift::default(), hook);
    assert_eq!(kept(&fixture), "unreplicated");
    assert_eq!(fixture.counts(), [1, 1, 1]);
}
