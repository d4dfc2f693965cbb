//! The command rejects a drain that is not safe, and changes nothing.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use pushring_harness::Consul;
use pushring_harness::command::{self, CommandOutput};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::fixture::{DrainFixture, exposed, push};

/// Starts two owners and a source with groups.
fn fixture() -> DrainFixture {
    let fixture = DrainFixture::start(2, &[]);
    for index in 0..8 {
        push(&fixture.source, "PUT", &format!("/metrics/job/j{index}"), "m 1\n");
    }
    fixture
}

fn drain(fixture: &DrainFixture, config: &Value, more: &[&str]) -> CommandOutput {
    let path = fixture.write(config);
    let address = fixture.source.address.to_string();
    let args = ["drain", &address, "--config", path.to_str().unwrap(), "--settle=0s", "--output=json"];
    command::pushring(args.iter().chain(more)).unwrap()
}

/// Checks that the drain ends with exit code 2 for this reason and changes nothing.
#[track_caller]
fn refused(fixture: &DrainFixture, config: &Value, more: &[&str], why: &str) {
    let before = (exposed(&fixture.source), fixture.owned());
    let output = drain(fixture, config, more);
    assert_eq!(output.code, 2, "{} {}", output.stdout, output.stderr);
    assert!(output.stderr.contains(why), "{}", output.stderr);
    assert_eq!((exposed(&fixture.source), fixture.owned()), before);
}

#[test]
fn rejects_a_gateway_in_the_ring() {
    let fixture = fixture();
    let (own, other) = (fixture.source.address.to_string(), fixture.owners[0].address.to_string());
    refused(&fixture, &json!({"members": [own, other]}), &[], "is on the ring; first run");
    let named = json!({"members": [{"name": "gw-1", "address": own}, other]});
    refused(&fixture, &named, &[], "is on the ring");
    // Another name of the same process.
    let alias = format!("localhost:{}", fixture.source.address.port());
    refused(&fixture, &json!({"members": [alias, other]}), &[], "are one process");
}

#[test]
fn rejects_groups_without_one_owner() {
    let fixture = fixture();
    let member = fixture.owners[0].address.to_string();
    refused(&fixture, &json!({"members": [member], "route_by": "path"}), &[], "route_by: found \"path\"");
    refused(&fixture, &json!({"members": [], "min_members": 0}), &[], "no members");
}

#[test]
fn rejects_a_registered_gateway() {
    let fixture = fixture();
    let consul = Consul::start(fixture.dir.path()).unwrap();
    consul.register(fixture.owners[0].address, "passing").unwrap();
    consul.register(fixture.source.address, "critical").unwrap();
    let url = format!("http://{}", consul.address);
    refused(&fixture, &json!({"members": ["a:1"]}), &["--consul", &url], "is registered in Consul");
    consul.deregister(fixture.source.address).unwrap();
    let output = drain(&fixture, &json!({"members": ["a:1"]}), &["--consul", &url]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(fixture.source.groups().unwrap(), []);
}

#[test]
fn carries_nothing_to_ambiguous_or_unreachable_owners() {
    let mut fixture = fixture();
    let before = exposed(&fixture.source);
    let [first, second] = [0, 1].map(|index: usize| fixture.owners[index].address);
    // One process has two addresses in the ring, and a third member owns groups too.
    let twins = [first.to_string(), format!("localhost:{}", first.port()), second.to_string()];
    let output = drain(&fixture, &json!({"members": twins}), &[]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    let kept = output.json().unwrap()["kept"].as_array().unwrap().clone();
    assert!(!kept.is_empty() && kept.iter().all(|kept| kept["code"] == "shared_process"));
    assert_eq!(fixture.owners[0].groups().unwrap(), []);
    assert_eq!(fixture.owners[1].groups().unwrap().len(), 8 - kept.len());
    // The groups of a dead owner stay and the others go.
    fixture.owners[0].process.kill();
    let output = drain(&fixture, &json!({"members": [first.to_string(), second.to_string()]}), &[]);
    assert_eq!(output.code, 1);
    let report = output.json().unwrap();
    let kept = report["kept"].as_array().unwrap();
    assert!(kept.iter().all(|kept| kept["code"] == "owner_unreadable"), "{report}");
    assert_eq!(fixture.source.groups().unwrap().len(), kept.len());
    assert_eq!(fixture.owners[1].groups().unwrap().len(), 8 - kept.len());
    // With a ring of living members, everything arrives.
    let output = drain(&fixture, &json!({"members": [second.to_string()]}), &[]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(exposed(&fixture.owners[1]), before);
}

#[test]
fn keep_copies_and_deletes_nothing() {
    let fixture = fixture();
    push(&fixture.source, "PUT", "/metrics/job/empty", "");
    let before = exposed(&fixture.source);
    for _ in 0..2 {
        let output = fixture.drain(&["--keep"]);
        assert_eq!(output.code, 0, "{} {}", output.stdout, output.stderr);
        assert_eq!(output.json().unwrap()["left"], 9);
        assert_eq!(fixture.owned(), before);
        assert_eq!(exposed(&fixture.source), before);
    }
    fixture.drain_all();
    assert_eq!(fixture.owned(), before);
}

#[test]
fn dry_run_changes_nothing() {
    let fixture = fixture();
    push(fixture.owner("/metrics/job/j0"), "PUT", "/metrics/job/j0", "m 1\n");
    let before = (exposed(&fixture.source), fixture.owned());
    let output = fixture.drain(&["--dry-run"]);
    assert_eq!(output.code, 1, "{} {}", output.stdout, output.stderr);
    let report = output.json().unwrap();
    let sum = |what: &str| -> u64 {
        report["owners"].as_object().unwrap().values().map(|counts| counts[what].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("carried"), sum("held"), sum("kept")), (7, 1, 0), "{report}");
    assert_eq!(report["dry_run"], true);
    assert_eq!((exposed(&fixture.source), fixture.owned()), before);
    fixture.drain_all();
    assert_eq!(fixture.drain(&["--dry-run"]).code, 0);
}

#[test]
fn changes_nothing_before_the_members_have_settled() {
    let fixture = fixture();
    let before = exposed(&fixture.source);
    let config = fixture.config();
    let address = fixture.source.address.to_string();
    let mut child = command::command()
        .unwrap()
        .args(["drain", &address, "--config", config.to_str().unwrap(), "--settle", "1h"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("waiting"), "{line}");
    assert_eq!((exposed(&fixture.source), fixture.owned().len()), (before, 0));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn rejects_invalid_addresses() {
    for address in ["10.0.0.1", "10.0.0.1:http", "10.0.0.1:0"] {
        let output = command::pushring(["drain", address, "--config", "/nowhere"]).unwrap();
        assert_eq!(
            (output.code, output.stderr.contains("allowed host:port")),
            (2, true),
            "{}",
            output.stderr
        );
    }
}
