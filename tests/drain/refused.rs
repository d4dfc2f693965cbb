//! When it is not safe to drain, or not wanted: nothing is touched.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use pushring_harness::Consul;
use pushring_harness::command::{self, CommandOutput};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::fixture::{DrainFixture, exposed, push};

/// Two owners, and groups on the source; two of them with something at their owner.
fn world() -> DrainFixture {
    let world = DrainFixture::start(2, &[]);
    for index in 0..8 {
        push(&world.source, "PUT", &format!("/metrics/job/j{index}"), "m 1\n");
    }
    world
}

fn drain(world: &DrainFixture, config: &Value, more: &[&str]) -> CommandOutput {
    let path = world.write(config);
    let address = world.source.address.to_string();
    let args = ["drain", &address, "--config", path.to_str().unwrap(), "--settle=0s", "--output=json"];
    command::pushring(args.iter().chain(more)).unwrap()
}

/// Refused with exit code 2, for this reason, and everything is as it was.
#[track_caller]
fn refused(world: &DrainFixture, config: &Value, more: &[&str], why: &str) {
    let before = (exposed(&world.source), world.owned());
    let output = drain(world, config, more);
    assert_eq!(output.code, 2, "{} {}", output.stdout, output.stderr);
    assert!(output.stderr.contains(why), "{}", output.stderr);
    assert_eq!((exposed(&world.source), world.owned()), before);
}

#[test]
fn a_gateway_on_the_ring_is_not_drained() {
    let world = world();
    let (own, other) = (world.source.address.to_string(), world.owners[0].address.to_string());
    refused(&world, &json!({"members": [own, other]}), &[], "is on the ring: take it out first");
    let named = json!({"members": [{"name": "gw-1", "address": own}, other]});
    refused(&world, &named, &[], "is on the ring");
    // Another name for the same process.
    let alias = format!("localhost:{}", world.source.address.port());
    refused(&world, &json!({"members": [alias, other]}), &[], "are one process");
}

#[test]
fn a_group_without_one_owner_has_nowhere_to_go() {
    let world = world();
    let member = world.owners[0].address.to_string();
    refused(&world, &json!({"members": [member], "route_by": "path"}), &[], "route_by: found \"path\"");
    refused(&world, &json!({"members": [], "min_members": 0}), &[], "no members");
}

#[test]
fn a_registered_gateway_may_come_back() {
    let world = world();
    let consul = Consul::start(world.dir.path()).unwrap();
    consul.register(world.owners[0].address, "passing").unwrap();
    consul.register(world.source.address, "critical").unwrap();
    let url = format!("http://{}", consul.address);
    refused(&world, &json!({"members": ["a:1"]}), &["--consul", &url], "is registered in Consul");
    consul.deregister(world.source.address).unwrap();
    let output = drain(&world, &json!({"members": ["a:1"]}), &["--consul", &url]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(world.source.groups().unwrap(), []);
}

#[test]
fn owners_that_cannot_be_told_apart_or_reached_get_nothing() {
    let mut world = world();
    let before = exposed(&world.source);
    let [first, second] = [0, 1].map(|index: usize| world.owners[index].address);
    // One process at two addresses, where a third member owns something too.
    let twins = [first.to_string(), format!("localhost:{}", first.port()), second.to_string()];
    let output = drain(&world, &json!({"members": twins}), &[]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    let kept = output.json().unwrap()["kept"].as_array().unwrap().clone();
    assert!(
        !kept.is_empty() && kept.iter().all(|kept| kept["reason"].as_str().unwrap().contains("same process"))
    );
    assert_eq!(world.owners[0].groups().unwrap(), []);
    assert_eq!(world.owners[1].groups().unwrap().len(), 8 - kept.len());
    // One that is dead: its groups stay, the others go.
    world.owners[0].process.kill();
    let output = drain(&world, &json!({"members": [first.to_string(), second.to_string()]}), &[]);
    assert_eq!(output.code, 1);
    let report = output.json().unwrap();
    let kept = report["kept"].as_array().unwrap();
    assert!(
        kept.iter().all(|kept| kept["reason"].as_str().unwrap().contains("cannot be reached")),
        "{report}"
    );
    assert_eq!(world.source.groups().unwrap().len(), kept.len());
    assert_eq!(world.owners[1].groups().unwrap().len(), 8 - kept.len());
    // With a ring of the living, everything arrives.
    let output = drain(&world, &json!({"members": [second.to_string()]}), &[]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(exposed(&world.owners[1]), before);
}

#[test]
fn keep_copies_and_deletes_nothing() {
    let world = world();
    push(&world.source, "PUT", "/metrics/job/empty", "");
    let before = exposed(&world.source);
    for _ in 0..2 {
        let output = world.drain(&["--keep"]);
        assert_eq!(output.code, 0, "{} {}", output.stdout, output.stderr);
        assert_eq!(output.json().unwrap()["left"], 9);
        assert_eq!(world.owned(), before);
        assert_eq!(exposed(&world.source), before);
    }
    world.drain_all();
    assert_eq!(world.owned(), before);
}

#[test]
fn a_dry_run_tells_and_touches_nothing() {
    let world = world();
    push(world.owner("/metrics/job/j0"), "PUT", "/metrics/job/j0", "m 1\n");
    let before = (exposed(&world.source), world.owned());
    let output = world.drain(&["--dry-run"]);
    assert_eq!(output.code, 1, "{} {}", output.stdout, output.stderr);
    let report = output.json().unwrap();
    let sum = |what: &str| -> u64 {
        report["owners"].as_object().unwrap().values().map(|counts| counts[what].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("carried"), sum("held"), sum("kept")), (7, 1, 0), "{report}");
    assert_eq!(report["dry_run"], true);
    assert_eq!((exposed(&world.source), world.owned()), before);
    world.drain_all();
    assert_eq!(world.drain(&["--dry-run"]).code, 0);
}

#[test]
fn nothing_is_touched_before_the_members_have_settled() {
    let world = world();
    let before = exposed(&world.source);
    let config = world.config();
    let address = world.source.address.to_string();
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
    assert_eq!((exposed(&world.source), world.owned().len()), (before, 0));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn what_is_no_address_is_refused() {
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
