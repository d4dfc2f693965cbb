//! With replicas, a group is deleted only if its owner and its replica hold all of it.

use pushring_harness::Shift;
use serde_json::json;

use crate::fixture::{DrainFixture, has, push};

const PATH: &str = "/metrics/job/j/instance/i";

fn line(name: &str, value: u32) -> String {
    format!("{name}{{instance=\"i\",job=\"j\"}} {value}")
}

/// Three members that mirror pushes. All groups of the source were pushed an hour ago.
fn fixture() -> DrainFixture {
    let mut fixture = DrainFixture::start(3, &[]);
    fixture.settings = json!({"mirror": "all"});
    fixture.proxy(fixture.source.address, Shift::age(3600), |_| ());
    fixture
}

#[test]
fn carries_a_group_to_its_owner_and_to_its_replica() {
    let fixture = fixture();
    push(&fixture.source, "PUT", PATH, "a 1\nb 1\n");
    push(&fixture.source, "PUT", "/metrics/job/empty", "");
    // A replica from before, and an owner from before.
    push(&fixture.source, "PUT", "/metrics/job/half", "a 1\n");
    push(fixture.clockwise("/metrics/job/half")[1], "PUT", "/metrics/job/half", "a 1\n");
    push(&fixture.source, "PUT", "/metrics/job/other", "a 1\n");
    push(fixture.clockwise("/metrics/job/other")[0], "PUT", "/metrics/job/other", "a 1\n");

    let output = fixture.drain(&["--dry-run"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(fixture.source.groups().unwrap().len(), 4);
    let report = fixture.drain_all();
    let sum = |field: &str| -> u64 {
        report["owners"].as_object().unwrap().values().map(|counts| counts[field].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("carried"), sum("held"), sum("kept")), (4, 0, 0), "{report}");
    let members = fixture.clockwise(PATH);
    for (member, is_placed) in [(0, true), (1, true), (2, false)] {
        for name in ["a", "b"] {
            assert_eq!(has(members[member], &line(name, 1)), is_placed, "{member} {name}");
        }
    }
    let copies: usize = fixture.owners.iter().map(|owner| owner.groups().unwrap().len()).sum();
    assert_eq!(copies, 8);
}

#[test]
fn replaces_nothing_newer_on_the_replica() {
    let fixture = fixture();
    push(&fixture.source, "PUT", PATH, "a 1\nb 1\n");
    push(fixture.clockwise(PATH)[1], "PUT", PATH, "a 2\n");
    fixture.drain_all();
    let members = fixture.clockwise(PATH);
    assert!(has(members[0], &line("a", 1)) && has(members[0], &line("b", 1)));
    assert!(has(members[1], &line("a", 2)) && has(members[1], &line("b", 1)));
}

#[test]
fn copies_nothing_to_the_replica_that_its_owner_has_newer() {
    let fixture = fixture();
    push(&fixture.source, "PUT", PATH, "a 1\nb 1\n");
    push(fixture.clockwise(PATH)[0], "PUT", PATH, "a 2\n");
    assert_eq!(fixture.kept(), "unreplicated");
    let members = fixture.clockwise(PATH);
    assert!(has(members[0], &line("a", 2)) && has(members[0], &line("b", 1)));
    assert_eq!(members[1].groups().unwrap(), []);
    // The mirrored push arrives.
    push(members[1], "PUT", PATH, "a 2\n");
    fixture.drain_all();
    assert!(has(members[1], &line("a", 2)) && has(members[1], &line("b", 1)));
}

#[test]
fn keeps_a_group_whose_replica_does_not_answer() {
    let mut fixture = fixture();
    push(&fixture.source, "PUT", PATH, "a 1\n");
    let replica = fixture.clockwise(PATH)[1].address;
    let index = fixture.owners.iter().position(|owner| owner.address == replica).unwrap();
    fixture.owners[index].process.kill();
    assert_eq!(fixture.kept(), "replica_unreadable");
    assert!(has(fixture.owner(PATH), &line("a", 1)));
    assert!(has(&fixture.source, &line("a", 1)));
}

#[test]
fn keeps_a_group_that_its_replica_rejects() {
    let fixture = fixture();
    push(&fixture.source, "PUT", PATH, "# TYPE a gauge\na 1\n");
    push(fixture.clockwise(PATH)[1], "PUT", "/metrics/job/x", "# TYPE a counter\na 1\n");
    assert_eq!(fixture.kept(), "type_conflict");
    assert!(has(fixture.owner(PATH), &line("a", 1)));
}
