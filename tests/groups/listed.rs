//! Selection, order and format of the listed groups.

use pushring_harness::GatewayFixture;
use serde_json::json;

use crate::report::rows;

/// Stores two jobs in place on g0, one on g1 that is an hour old, and a copy of a group of g1 on g0.
fn fixture() -> GatewayFixture {
    let mut fixture = GatewayFixture::start(2);
    let paths =
        [fixture.path_of(0, "backup"), fixture.path_of(0, "backup-db"), fixture.path_of(1, "nightly")];
    fixture.put(0, &paths[0], "a 1\n");
    fixture.put(0, &format!("{}/zone/a=b", paths[1]), "a 1\n");
    fixture.put(1, &paths[2], "a 1\n");
    let left = fixture.path_of(1, "left");
    fixture.put(0, &left, "a 1\n");
    fixture.age(1);
    fixture
}

#[test]
fn filters_decide_rows_counts_and_exit_code() {
    let fixture = fixture();
    let jobs = |args: &[&str]| {
        let (code, report) = fixture.json("groups", args);
        let mut found = rows(&report, "state");
        found.iter_mut().for_each(|row| row.truncate(row.find(" on ").unwrap()));
        let counted: u64 =
            report["counts"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(counted, found.len() as u64);
        (code, found.join(" "))
    };
    let found = |code: i32, jobs: &str| (code, jobs.to_owned());
    assert_eq!(jobs(&["--job", "backup"]).1, "backup");
    assert_eq!(jobs(&["--job", "b.*|x"]).1, "backup backup-db");
    assert_eq!(jobs(&["--job", "nightl"]), found(0, ""));
    assert_eq!(jobs(&["--label", "zone=a=b"]).1, "backup-db");
    assert_eq!(jobs(&["--label", "zone=a=b", "--label", "n=x"]), found(0, ""));
    assert_eq!(jobs(&["--older-than", "30m"]), found(0, "nightly"));
    assert_eq!(jobs(&["--older-than", "30m", "--younger-than", "59m"]), found(0, ""));
    assert_eq!(jobs(&["--younger-than", "30m", "--job", ".*backup"]).1, "backup");
    assert_eq!(jobs(&["--state", "left-behind"]).0, 1);
    assert!(jobs(&["--state", "left-behind"]).1.contains("left"));
    assert_eq!(jobs(&["--state", "in-place", "--state", "stale", "--job", "nightly"]), found(0, "nightly"));
    assert_eq!(jobs(&["--state", "stale", "--stale-after", "30m"]), found(0, "nightly"));
    for wrong in [["--job", "("], ["--label", "zone"], ["--state", "lost"], ["--older-than", "soon"]] {
        assert_eq!(fixture.run("groups", &wrong).code, 2, "{wrong:?}");
    }
    assert_eq!(fixture.run("groups", &["--conflicts", "--job", "a"]).code, 2);
}

#[test]
fn sorts_rows_by_the_flag() {
    let fixture = fixture();
    let rows = |sort: &str, field: &str| {
        let report = fixture.json("groups", &["--sort", sort]).1;
        rows(&report, field)
    };
    let jobs: Vec<String> = rows("labels", "on");
    assert!(jobs.is_sorted(), "{jobs:?}");
    assert_eq!(rows("age", "on")[0], "nightly on g1: g1");
    let values = |sort: &str, field: &str| -> Vec<String> {
        rows(sort, field).into_iter().map(|row| row.split_once(": ").unwrap().1.to_owned()).collect()
    };
    assert!(values("owner", "owner").is_sorted() && values("on", "on").is_sorted());
    assert_eq!(values("state", "state").last().unwrap(), "left-behind");
}

#[test]
fn formats_a_table() {
    let fixture = fixture();
    let output = fixture.run("groups", &["--job", "nightly|left"]);
    let lines: Vec<Vec<&str>> = output.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0].join(" "), "GROUP OWNER GATEWAY LAST PUSH LAST FAILED STATE REASON");
    assert_eq!((lines[1][1..3].join(" "), *lines[1].last().unwrap()), ("g1 g0".to_owned(), "left-behind"));
    assert!(lines[1][0].starts_with("{job=\"left\",n="), "{lines:?}");
    // A gateway reports its time in whole seconds.
    assert!(["1h", "59m"].contains(&lines[2][3]) && lines[2].ends_with(&["-", "in-place"]), "{lines:?}");
    assert_eq!(lines.last().unwrap().join(" "), "1 in-place, 1 left-behind on 2 gateways");
    let none = fixture.run("groups", &["--job", "none"]);
    assert_eq!((none.stdout.as_str(), none.code), ("no groups on 2 gateways\n", 0));
    let empty = json!({"gateways": 2, "groups": [], "counts": {}, "unreadable": []});
    assert_eq!(fixture.json("groups", &["--job", "none"]), (0, empty));
}
