//! A drained group survives the crash of its owner.

use pushring_harness::Pushgateway;
use serde_json::json;

use crate::fixture::DrainFixture;

/// Whenever the drained gateway no longer holds a group, its owner has it on disk. The owner is killed right after the
/// drain and started again with its file.
#[test]
fn drained_groups_survive_a_crash_of_their_owner() {
    let mut fixture = DrainFixture::start(0, &[]);
    let file = format!("--persistence.file={}", fixture.dir.path().join("owner.db").display());
    let flags = [file.as_str(), "--persistence.interval=1s"];
    fixture.owners.push(Pushgateway::start(fixture.dir.path(), &flags).unwrap());
    for number in 0..20 {
        fixture.source.client().unwrap().put(&format!("/metrics/job/j{number}"), "a 1\n").unwrap();
    }
    let output = fixture.drain(&[]);
    assert_eq!((output.code, output.stderr.contains("written the groups to disk")), (0, true), "{output:?}");
    let report = output.json().unwrap();
    let owner = fixture.owners[0].address;
    assert_eq!(report["owners"][owner.to_string()]["carried"], json!(20), "{report}");
    fixture.owners[0].process.kill();
    fixture.owners[0] = Pushgateway::start_at(fixture.dir.path(), owner, &flags).unwrap();
    assert_eq!(fixture.owners[0].groups().unwrap().len(), 20);
    assert_eq!(fixture.source.groups().unwrap().len(), 0);
}

/// Without a file there is nothing to wait for, and the command says what that means.
#[test]
fn warns_about_an_owner_that_never_writes() {
    let fixture = DrainFixture::start(1, &[]);
    fixture.source.client().unwrap().put("/metrics/job/j", "a 1\n").unwrap();
    let output = fixture.drain(&[]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("has no --persistence.file"), "{output:?}");
}
