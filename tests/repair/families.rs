//! Each family is repaired on its own, from the gateway that is right about it.

use serde_json::json;

use crate::fixture::{RepairFixture, pass, value};

const PATH: &str = "/metrics/job/j";

/// Returns the values of these families on owner and replica.
fn values(fixture: &RepairFixture, names: &[&str]) -> [Vec<Option<String>>; 2] {
    let series = |name: &&str| format!("{name}{{instance=\"\",job=\"j\"}}");
    fixture
        .places(PATH)
        .map(|index| names.iter().map(|name| value(fixture.gateway(index), &series(name))).collect())
}

fn texts(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| (!value.is_empty()).then(|| (*value).to_owned())).collect()
}

#[test]
fn an_owner_keeps_what_it_got_since_it_restarted() {
    let mut fixture = RepairFixture::start(2);
    fixture.mirrored("POST", PATH, "a 1\n");
    fixture.mirrored("POST", PATH, "b 1\n");
    let [owner, replica] = fixture.places(PATH);
    fixture.lose(owner);
    // The replica misses this push.
    fixture.send(owner, "POST", PATH, "a 2\n");
    let repaired = fixture.repair();
    assert_eq!(values(&fixture, &["a", "b"]), [texts(&["2", "1"]), texts(&["2", "1"])], "{repaired:?}");
    let line = |from: usize, to: usize, family: &str| {
        json!({"labels": {"job": "j"}, "from": format!("g{from}"), "to": format!("g{to}"),
            "families": [family], "result": "copied"})
    };
    assert_eq!(repaired, [line(replica, owner, "b"), line(owner, replica, "a")]);
}

#[test]
fn a_replica_gets_the_pushes_that_it_missed() {
    let fixture = RepairFixture::start(2);
    fixture.mirrored("PUT", PATH, "a 1\nb 1\n");
    let [owner, replica] = fixture.places(PATH);
    fixture.send(owner, "POST", PATH, "# TYPE a counter\na 2\n");
    fixture.send(owner, "POST", PATH, "c 1\n");
    // The replica got the older one of two pushes last.
    fixture.send(owner, "POST", PATH, "d 2\n");
    fixture.send(replica, "POST", PATH, "d 1\n");
    let before = fixture.exposed(owner);
    fixture.repair();
    assert_eq!(fixture.exposed(replica), before);
    assert_eq!(fixture.exposed(owner), before);
}

#[test]
fn a_group_that_was_deleted_on_its_owner_stays_deleted() {
    let fixture = RepairFixture::start(2);
    fixture.age();
    fixture.mirrored("PUT", PATH, "a 1\n");
    fixture.mirrored("PUT", "/metrics/job/empty", "");
    let [owner, replica] = fixture.places(PATH);
    fixture.send(owner, "DELETE", PATH, "");
    let [owner_of_empty, _] = fixture.places("/metrics/job/empty");
    fixture.send(owner_of_empty, "DELETE", "/metrics/job/empty", "");
    pass(3);
    // Too young: the push may not have reached the owner yet.
    let output = fixture.sweep_settled("1h", &["--dry-run"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    let kept = output.json().unwrap()["repaired"].as_array().unwrap().clone();
    assert!(kept.len() == 2 && kept.iter().all(|line| line["code"] == "stale_replica"), "{kept:?}");
    let repaired = fixture.repair();
    assert!(repaired.len() == 2 && repaired.iter().all(|line| line["result"] == "removed"), "{repaired:?}");
    for gateway in [owner, replica] {
        assert_eq!(fixture.gateway(gateway).groups().unwrap(), []);
    }
}

#[test]
fn a_family_that_a_put_dropped_stays_dropped() {
    let fixture = RepairFixture::start(2);
    fixture.age();
    fixture.mirrored("PUT", PATH, "a 1\nb 1\nc 1\n");
    let [owner, _] = fixture.places(PATH);
    fixture.send(owner, "PUT", PATH, "a 1\nc 2\n");
    pass(3);
    let repaired = fixture.repair();
    assert_eq!(repaired.len(), 1);
    assert_eq!(repaired[0]["families"], json!(["b", "c"]), "{repaired:?}");
    let expected = texts(&["1", "", "2"]);
    assert_eq!(values(&fixture, &["a", "b", "c"]), [expected.clone(), expected]);
}

#[test]
fn a_new_owner_and_its_replica_get_the_group_of_a_former_owner() {
    let fixture = RepairFixture::start(3);
    let [owner, replica] = fixture.places(PATH);
    let former = 3 - owner - replica;
    fixture.send(former, "PUT", PATH, "a 1\n");
    // The ring is younger than the push.
    fixture.age();
    let mut fixture = fixture;
    fixture.inner.configure(json!({"mirror": "all"}));
    let output = fixture.sweep(&[]);
    let report = output.json().unwrap();
    assert_eq!(report["repaired"].as_array().unwrap().len(), 2, "{report} {}", output.stderr);
    assert_eq!(values(&fixture, &["a"]), [texts(&["1"]), texts(&["1"])]);
    // The source of the copy stays until the next run.
    let repaired = fixture.repair();
    assert!(repaired.len() <= 1 && repaired.iter().all(|line| line["result"] == "removed"), "{repaired:?}");
    assert_eq!(fixture.gateway(former).groups().unwrap(), [], "owner and replica hold all of it");
    assert_eq!(values(&fixture, &["a"]), [texts(&["1"]), texts(&["1"])]);
}

#[test]
fn a_copy_on_a_third_gateway_goes_even_if_the_group_was_deleted() {
    let fixture = RepairFixture::start(3);
    let [owner, replica] = fixture.places(PATH);
    let third = 3 - owner - replica;
    fixture.age();
    fixture.send(third, "PUT", PATH, "a 1\n");
    pass(3);
    let output = fixture.sweep(&[]);
    assert_eq!(fixture.gateway(third).groups().unwrap(), [], "{} {}", output.stdout, output.stderr);
    assert_eq!(fixture.gateway(owner).groups().unwrap(), []);
}
