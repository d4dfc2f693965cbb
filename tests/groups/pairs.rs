//! With replicas, both copies of a group are deleted together.

use pushring_harness::GatewayFixture;
use serde_json::json;

use crate::report::{rows, wait_jobs};

/// Two gateways; g0 owns a group of job j, and g1 is its replica, where it is an hour old.
fn fixture() -> GatewayFixture {
    let mut fixture = GatewayFixture::start(2);
    fixture.configure(json!({"mirror": "all"}));
    let path = fixture.placed(&[0, 1], "j");
    fixture.put(0, &path, "a 1\n");
    fixture.put(1, &path, "a 1\n");
    fixture.age(1);
    fixture
}

#[test]
fn a_group_expires_when_both_copies_are_old() {
    let mut fixture = fixture();
    let expire = ["--after", "30m", "--settle", "0s"];
    let (code, report) = fixture.json("expire", &expire);
    assert_eq!((code, &report["fresh"], rows(&report, "result")), (0, &json!(2), vec![]));
    fixture.age(0);
    let (code, report) = fixture.json("expire", &expire);
    assert_eq!(
        (code, rows(&report, "result")),
        (0, vec!["j on g0: deleted".into(), "j on g1: deleted".into()])
    );
    wait_jobs(&fixture, [&[], &[]]);
}

#[test]
fn a_copy_stays_while_the_other_cannot_be_read() {
    let mut fixture = fixture();
    fixture.gateways[0].process.kill();
    for (command, args) in [
        ("expire", vec!["--after", "30m", "--settle", "0s"]),
        ("delete", vec!["--job", "j", "--older-than", "30m", "--yes"]),
    ] {
        let (code, report) = fixture.json(command, &args);
        assert_eq!((code, rows(&report, "code")), (1, vec!["j on g1: owner_unreadable".to_owned()]));
    }
    // Who names a group wants it deleted now.
    assert_eq!(rows(&fixture.json("delete", &["--job", "j", "--yes"]).1, "result"), ["j on g1: deleted"]);
}

#[test]
fn delete_leaves_no_replica_behind() {
    let mut fixture = fixture();
    let old = ["--job", "j", "--older-than", "30m", "--yes"];
    assert_eq!(rows(&fixture.json("delete", &old).1, "result"), Vec::<String>::new());
    let (code, report) = fixture.json("delete", &["--job", "j", "--yes"]);
    assert_eq!(
        (code, rows(&report, "result")),
        (0, vec!["j on g0: deleted".into(), "j on g1: deleted".into()])
    );
    wait_jobs(&fixture, [&[], &[]]);

    let path = fixture.placed(&[0, 1], "j");
    fixture.put(0, &path, "a 1\n");
    fixture.put(1, &path, "a 1\n");
    fixture.age(0);
    assert_eq!(fixture.json("delete", &old).0, 0);
    wait_jobs(&fixture, [&[], &[]]);
}
