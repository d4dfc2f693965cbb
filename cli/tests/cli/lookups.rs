//! Output and exit codes of `check`, `owner` and `plan`, without servers. Against real ones:
//! tests/command/.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

fn pushring(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushring"));
    command.current_dir(dir).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Files with configurations, by name.
fn configurations(files: &[(&str, Value)]) -> TempDir {
    let dir = tempdir().unwrap();
    for (name, config) in files {
        fs::write(dir.path().join(name), config.to_string()).unwrap();
    }
    dir
}

fn members(count: usize) -> Value {
    (1..=count).map(|number| format!("10.0.0.{number}:9091")).collect()
}

#[test]
fn check_says_what_the_filter_says() {
    let dir = configurations(&[
        ("good", json!({"members": members(3), "mode": "endpoint"})),
        ("unknown", json!({"members": members(3), "member": 1})),
        ("twice", json!({"members": ["PG.example:1", "a:1", "pg.EXAMPLE.:1"]})),
        ("mapped", json!({"members": [{"name": "a", "address": "[::ffff:10.0.0.1]:1"}, "10.0.0.1:1"]})),
        ("octal", json!({"members": ["010.0.0.1:9091"]})),
        ("service", json!({"consul": {"service": "a.b"}})),
        ("settings", json!({"consul": {"service": "a"}, "filter": {"mode": "x"}})),
        (
            "large",
            json!({"members": [{"name": "a:1", "weight": 100}, {"name": "b:1", "weight": 100}, "c:1"],
                         "placement": {"type": "ring", "points": 4096}, "min_members": 4}),
        ),
    ]);
    let many: Vec<_> = (0..11).map(|n| json!({"name": format!("10.0.0.{n}:1"), "weight": 100})).collect();
    let points = json!({"members": many, "placement": {"type": "ring", "points": 4096}});
    fs::write(dir.path().join("points"), points.to_string()).unwrap();
    fs::write(dir.path().join("broken"), "{\"members\": [").unwrap();
    fs::write(dir.path().join("other.yaml"), "members: [a]").unwrap();
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/../consul-template/settings.yaml");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../envoy/live/cluster/ring.yaml");
    for (file, code, text) in [
        ("good", 0, "good: good: 3 members, 3072 points, digest 9bde84825ce69fa6, mode endpoint"),
        (shipped, 0, "good: 3 members, 3072 points"),
        (settings, 0, "good: 0 members, 0 points"),
        ("twice", 1, "bad: members[2].address: found \"pg.example:1\", which is members[0].address too"),
        ("mapped", 1, "bad: members[1].address: found \"10.0.0.1:1\", which is members[0].address too"),
        ("octal", 1, "bad: members[0].address: found \"010.0.0.1:9091\", allowed an IPv4 address as four"),
        ("service", 1, "bad: consul.service: found \"a.b\""),
        ("settings", 1, "bad: filter: mode: found \"x\""),
        ("unknown", 1, "bad: configuration: found unknown field \"member\", allowed only"),
        ("large", 1, "bad: members: found 3 members, allowed at least 4 (min_members)"),
        ("points", 1, "bad: placement.points: found 4505600 points over all members"),
        ("broken", 1, "bad: configuration: found no valid JSON"),
        ("other.yaml", 1, "bad: found neither the filter's configuration"),
        ("nowhere", 2, ""),
    ] {
        let output = pushring(dir.path(), &["check", file], "");
        assert_eq!(output.status.code(), Some(code), "{file}");
        assert!(stdout(&output).contains(text), "{file}: {}", stdout(&output));
        assert_eq!(code == 2, String::from_utf8(output.stderr).unwrap().starts_with("pushring: nowhere: "));
    }
    let good = json(&pushring(dir.path(), &["check", "good", "--output", "json"], ""));
    let wanted = json!({"file": "good", "good": true, "error": null, "members": 3, "points": 3072,
                        "digest": "9bde84825ce69fa6", "mode": "endpoint"});
    assert_eq!(good, wanted);
    let bad = json(&pushring(dir.path(), &["check", "large", "--output", "json"], ""));
    assert_eq!(bad["error"], "members: found 3 members, allowed at least 4 (min_members)");
    assert_eq!(bad["field"], "members");
    assert_eq!((&bad["good"], &bad["members"]), (&json!(false), &Value::Null));
}

#[test]
fn owner_of_paths_and_labels() {
    let dir = configurations(&[("c", json!({"members": members(5), "successors": 0}))]);
    let owner = |args: &[&str]| pushring(dir.path(), &[&["owner", "--config", "c"], args].concat(), "");
    let path = "/metrics/job/backup/instance/db1";
    let told = json(&owner(&[path, "--output", "json"]));
    assert_eq!(told.as_array().map(Vec::len), Some(1));
    assert_eq!(told[0]["labels"], json!({"job": "backup", "instance": "db1"}));
    assert_eq!(told[0]["key"], "instance\\xffdb1\\xffjob\\xffbackup");
    assert_eq!(told[0]["hash"], "1d3fbcc6ce353e9d");
    assert_eq!(told[0]["successors"].as_array().map(Vec::len), Some(2), "at least 2");
    let address = told[0]["owner"]["address"].as_str().unwrap();
    assert_eq!(told[0]["url"], format!("http://{address}{path}"));
    let fields: Vec<_> = told[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["hash", "key", "labels", "owner", "path", "successors", "url", "verdict"]);

    let labels = json(&owner(&["--job", "backup", "--label", "instance=db1", "--output", "json"]));
    assert_eq!((&labels[0]["key"], &labels[0]["owner"]), (&told[0]["key"], &told[0]["owner"]));
    let equals = json(&owner(&["--job", "a/b", "--label", "x=y=z", "--label", "e=", "--output", "json"]));
    assert_eq!(equals[0]["labels"], json!({"job": "a/b", "x": "y=z", "e": ""}));
    let table = stdout(&owner(&[path]));
    assert!(table.contains("group       {job=\"backup\",instance=\"db1\"}"), "{table}");

    for (args, code, text) in [
        (&["/metrics/job/x", "/metrics"][..], 1, "no-push"),
        (&["/metrics/job/x/y"], 1, "malformed"),
        (&["/metrics/job/x/y/%ff"], 1, "poison"),
        (&["//metrics/job/x"], 0, "unclean"),
        (&["--job", ""], 2, ""),
        (&["--label", "a=b"], 2, ""),
        (&["--job", "x", "--label", "a"], 2, ""),
        (&["--job", "x", "--label", "job=y"], 2, ""),
        (&["--job", "x", "--label", "1a=y"], 2, ""),
        (&["--job", "x", "--label", "a=1", "--label", "a=2"], 2, ""),
        (&["--service", "x", "/metrics/job/x"], 2, ""),
    ] {
        let output = owner(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!(stdout(&output).contains(text), "{args:?}: {}", stdout(&output));
    }
}

#[test]
fn owner_of_lines() {
    let dir = configurations(&[("c", json!({"members": [{"name": "one", "address": "10.0.0.1:9091"}]}))]);
    let input = "/metrics/job/a\r\n/metrics\n\n/metrics/job/é\n//metrics/job/last";
    let output = pushring(dir.path(), &["owner", "--config", "c"], input);
    assert_eq!(output.status.code(), Some(1));
    let wanted = "one\t10.0.0.1:9091\tpush\t/metrics/job/a\n-\t-\tno-push\t/metrics\n-\t-\tbad-request\t\n\
                  -\t-\tbad-request\t/metrics/job/é\none\t10.0.0.1:9091\tunclean\t//metrics/job/last\n";
    assert_eq!(stdout(&output), wanted);
    let output = pushring(dir.path(), &["owner", "--config", "c", "-"], "/metrics/job/a\n");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 38));
    let empty = configurations(&[("c", json!({"members": [], "min_members": 0}))]);
    let output = pushring(empty.path(), &["owner", "--config", "c", "--output", "json"], "/metrics/job/a\n");
    let told = json!({"path": "/metrics/job/a", "verdict": "no-members", "owner": null, "address": null});
    assert_eq!((output.status.code(), json(&output)), (Some(1), told));
}

/// As with `| head`: more than a pipe and all buffers hold, and a reader that leaves after the first byte.
#[test]
fn owner_ends_quietly_when_its_reader_has_gone() {
    let dir = configurations(&[("c", json!({"members": members(2)}))]);
    fs::write(dir.path().join("paths"), "/metrics/job/a\n".repeat(500_000)).unwrap();
    for output in ["table", "json"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushring"));
        command.current_dir(dir.path()).args(["owner", "--config", "c", "--output", output]);
        command.stdin(fs::File::open(dir.path().join("paths")).unwrap());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap()), (Some(0), String::new()));
    }
}

#[test]
fn plan_of_a_member_that_joins() {
    let dir = configurations(&[
        ("from", json!({"members": members(3), "path_prefix": "/old"})),
        ("to", json!({"members": members(4), "path_prefix": "/new"})),
    ]);
    let lines: String = (0..5000).map(|n| format!("/old/metrics/job/j/instance/{n}\n")).collect();
    let lines = lines + "/metrics/job/x\n/old/metrics/job/x/malformed\n";
    let args =
        ["plan", "--from", "from", "--to", "to", "--output", "json", "--groups", "-", "--svg", "plan.svg"];
    let output = pushring(dir.path(), &args, &lines);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let plan = json(&output);
    assert_eq!(plan["basis"], "exact");
    let number = |value: &Value| value.as_f64().unwrap();
    // All that moves goes to the newcomer, and is its share.
    let newcomer = &plan["members"][3];
    assert_eq!((&newcomer["name"], &newcomer["address_before"]), (&json!("10.0.0.4:9091"), &Value::Null));
    assert!((number(&plan["moved"]) - number(&newcomer["after"])).abs() < 1e-9);
    assert_eq!(plan["flows"].as_array().map(Vec::len), Some(3));
    let moved: u64 =
        plan["flows"].as_array().unwrap().iter().map(|flow| flow["groups"].as_u64().unwrap()).sum();
    assert_eq!(plan["groups"], json!({"counted": 5000, "moved": moved, "skipped": 2}));
    assert_eq!(newcomer["groups_after"], moved);
    assert!((moved as f64 / 5000.0 - number(&plan["moved"])).abs() < 0.05, "{plan}");
    let sum =
        |field: &str| plan["members"].as_array().unwrap().iter().map(|m| number(&m[field])).sum::<f64>();
    assert!((sum("before") - 1.0).abs() < 1e-9 && (sum("after") - 1.0).abs() < 1e-9);
    assert!((sum("kept") + number(&plan["moved"]) - 1.0).abs() < 1e-9);
    let fields: Vec<_> = plan.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["basis", "flows", "from", "groups", "members", "moved", "to"]);
    let svg = fs::read_to_string(dir.path().join("plan.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("joins: ") && svg.ends_with("</svg>\n"));
}

/// A change of settings moves groups, too. Where keys or hashes differ, the rings cannot be compared by position:
/// the expectation must fit what is counted all the same.
#[test]
fn plan_of_settings() {
    let ring = |more: Value| {
        let mut config = json!({"members": members(4)});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let dir = configurations(&[
        ("from", ring(json!({}))),
        ("points", ring(json!({"placement": {"type": "ring", "points": 512}}))),
        ("placement", ring(json!({"placement": {"type": "dynamic-sharding"}}))),
        ("route_by", ring(json!({"route_by": "job"}))),
        ("header", ring(json!({"header": "x-other"}))),
    ]);
    let lines: String = (0..8000).map(|n| format!("/metrics/job/j{n}/instance/{n}\n")).collect();
    for (to, basis) in
        [("points", "exact"), ("placement", "independent"), ("route_by", "independent"), ("header", "exact")]
    {
        let args = ["plan", "--from", "from", "--to", to, "--output", "json", "--groups", "-"];
        let plan = json(&pushring(dir.path(), &args, &lines));
        assert_eq!(plan["basis"], basis, "{to}");
        let expected = plan["moved"].as_f64().unwrap();
        let found = plan["groups"]["moved"].as_f64().unwrap() / 8000.0;
        assert!((expected - found).abs() < 0.03, "{to}: {expected} expected, {found} found");
        assert_eq!(to == "header", expected == 0.0, "{to}: {expected}");
    }
    let table = stdout(&pushring(dir.path(), &["plan", "--from", "from", "--to", "header"], ""));
    assert!(table.contains("\n0.0 % of all groups are expected to move"), "{table}");
}

#[test]
fn help_outside_a_terminal_has_80_columns() {
    let dir = tempdir().unwrap();
    let overview = stdout(&pushring(dir.path(), &["--help"], ""));
    let (_, commands) = overview.split_once("Commands:\n").unwrap();
    let names = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<_> = names.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(names.contains(&"sweep") && names.contains(&"help"), "{names:?}");
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        let help = stdout(&pushring(dir.path(), &["help", name], ""));
        let widest = help.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= 80, "{name}: {widest}");
        assert!(help.contains("Usage:"), "{name}: {help}");
    }
}
