//! Results of passes in the log and in the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pushring_harness::command::pushring;
use pushring_harness::{Consul, DelayingProxy, Shift, poll_until};
use serde_json::json;

use crate::fixture::{Sweeper, WatchFixture};

#[test]
fn deletes_a_copy_after_the_owners_next_push() {
    let fixture = WatchFixture::start();
    fixture.put(1);
    let mut sweeper = fixture.watch("sweeper", &["--settle", "0s", "--single"]);
    sweeper.wait("pass", 3);
    assert_eq!(sweeper.messages(), ["started", "kept"], "an unchanged state is reported once");
    let kept = sweeper.logged("kept").remove(0);
    assert_eq!(kept["code"], "left_behind");
    let metrics = sweeper.metrics();
    assert_eq!(metrics["pushring_sweep_kept{reason=\"left-behind\"}"], 1.0);
    assert_eq!(metrics["pushring_sweep_kept{reason=\"not-newer\"}"], 0.0);
    assert_eq!(metrics["pushring_sweep_deleted_total"], 0.0);

    fixture.put(0);
    let deleted = sweeper.wait("deleted", 1).remove(0);
    let [owner, on] = fixture.addresses().map(|address| address.to_string());
    assert_eq!((deleted["on"].as_str(), deleted["owner"].as_str()), (Some(&*on), Some(&*owner)));
    let job = fixture.path().replace("/metrics/job/", "");
    assert_eq!(deleted["labels"], format!("{{job={job:?}}}"));
    assert_eq!(fixture.counts(), [1, 0]);
    assert_eq!(sweeper.stop(), Some(0));
    let passes = sweeper.logged("pass");
    assert_eq!(passes.iter().map(|pass| pass["deleted"].as_u64().unwrap()).sum::<u64>(), 1);
    assert_eq!(passes.iter().filter(|pass| pass["result"] != "done").count(), 0, "{passes:?}");
}

#[test]
fn expires_old_groups() {
    let fixture = WatchFixture::start();
    fixture.put(1);
    // The second gateway shows everything as pushed an hour ago.
    let args = ["--settle", "0s", "--single", "--expire-after", "30m"];
    let mut never = fixture.watch("never", &[&args[..], &["--expire-job", "j.*=never"]].concat());
    never.wait("pass", 2);
    assert_eq!((never.stop(), fixture.counts()), (Some(0), [0, 1]));
    fixture.put(0);
    let mut sweeper = fixture.watch("sweeper", &[&args[..], &["--dry-run"]].concat());
    sweeper.wait("pass", 2);
    assert_eq!((sweeper.stop(), fixture.counts()), (Some(0), [1, 1]));
    fixture.delete(0);
    let mut sweeper = fixture.watch("expiring", &args);
    let expired = sweeper.wait("expired", 1).remove(0);
    assert_eq!(expired["on"], fixture.addresses()[1].to_string());
    assert!(expired["age_seconds"].as_u64() >= Some(3600), "{expired}");
    assert_eq!(fixture.counts(), [0, 0]);
    poll_until("the counter", || (sweeper.metrics()["pushring_sweep_expired_total"] == 1.0).then_some(()))
        .unwrap();
    assert_eq!(sweeper.logged("pass")[0]["expired"], 1);
}

#[test]
fn metrics_show_the_results_of_passes() {
    let mut fixture = WatchFixture::start();
    fixture.leave_a_copy();
    let mut sweeper = fixture.watch("sweeper", &["--settle", "0s", "--single"]);
    sweeper.wait("deleted", 1);
    let passes = |sweeper: &mut Sweeper| sweeper.metrics()["pushring_sweep_passes_total{result=\"done\"}"];
    poll_until("a pass", || (passes(&mut sweeper) >= 1.0).then_some(())).unwrap();
    let metrics = sweeper.metrics();
    assert_eq!(metrics["pushring_sweep_active"], 1.0);
    assert_eq!(metrics["pushring_sweep_deleted_total"], 1.0);
    assert_eq!(metrics["pushring_sweep_expired_total"], 0.0);
    assert_eq!(metrics["pushring_sweep_members"], 2.0);
    assert_eq!(metrics["pushring_sweep_settling"], 0.0);
    assert_eq!(metrics["pushring_sweep_unreadable_gateways"], 0.0);
    assert_eq!(metrics["pushring_sweep_passes_total{result=\"failed\"}"], 0.0);
    assert!(metrics["pushring_sweep_last_pass_timestamp_seconds"] > 1.7e9);
    assert!(metrics["pushring_sweep_pass_duration_seconds_count"] >= 1.0);

    fixture.gateways[0].process.kill();
    let event = sweeper.wait("gateway cannot be read", 1).remove(0);
    assert_eq!(event["gateway"], fixture.addresses()[0].to_string());
    let unreadable = |sweeper: &mut Sweeper| sweeper.metrics()["pushring_sweep_unreadable_gateways"];
    poll_until("the gauge", || (unreadable(&mut sweeper) == 1.0).then_some(())).unwrap();
}

#[test]
fn deletes_nothing_while_members_settle() {
    let fixture = WatchFixture::start();
    fixture.configure(1);
    let mut sweeper = fixture.watch("sweeper", &["--settle", "10s", "--single"]);
    // The file has not changed for longer than the settling time.
    sweeper.wait("safe again", 1);
    // With the second member, the group there is a stale copy.
    fixture.leave_a_copy();
    fixture.configure(2);
    sweeper.wait("deleted", 1);
    let expected = ["started", "paused: not safe to delete", "safe again", "paused: not safe to delete"];
    assert_eq!(sweeper.messages()[..4], expected);
    assert_eq!(sweeper.messages()[4..], ["safe again", "deleted"]);
    let events = sweeper.events();
    let position = |message: &str| events.iter().rposition(|event| event["message"] == message).unwrap();
    let settling = &events[position("paused: not safe to delete")..position("safe again")];
    assert!(settling.iter().any(|event| event["result"] == "held"), "{settling:?}");
    assert!(settling.iter().all(|event| event["result"] != "done"), "{settling:?}");
    assert_eq!(fixture.counts(), [1, 0]);
}

#[test]
fn members_that_left_and_returned_between_passes_settle() {
    let fixture = WatchFixture::start();
    let consul = Consul::start(fixture.dir.path()).unwrap();
    fixture.register(&consul);
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    let front = DelayingProxy::start(consul.address, Shift::default(), move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let url = format!("http://{}", front.unwrap().address);
    let args = ["--settle", "15s", "--consul", &url, "--single"];
    let mut sweeper = fixture.watch_every("6s", "sweeper", &args);
    sweeper.wait("safe again", 1);
    let held =
        |sweeper: &Sweeper| sweeper.logged("pass").iter().filter(|pass| pass["result"] == "held").count();
    let before = held(&sweeper);
    let address = fixture.addresses()[1];
    let gone = json!({"Node": "far", "ServiceID": address.to_string()});
    consul.put("/v1/catalog/deregister", &gone).unwrap();
    // Two more reads have started, so the first of them was answered.
    let before_read = reads.load(Ordering::Relaxed);
    let read_again = || (reads.load(Ordering::Relaxed) >= before_read + 2).then_some(());
    poll_until("the sweeper to read the members", read_again).unwrap();
    fixture.register(&consul);
    let again = sweeper.wait("paused: not safe to delete", 2).pop().unwrap();
    assert!(again["reason"].as_str().unwrap().contains("--settle"), "{again}");
    sweeper.wait("safe again", 2);
    assert!(held(&sweeper) > before);
}

#[test]
fn deletes_nothing_while_an_envoy_disagrees() {
    let fixture = WatchFixture::start();
    fixture.leave_a_copy();
    let mut sweeper =
        fixture.watch("sweeper", &["--settle", "0s", "--single", "--envoy", "http://127.0.0.1:1"]);
    sweeper.wait("pass", 3);
    assert_eq!(sweeper.messages(), ["started", "paused: not safe to delete"]);
    let reason = sweeper.logged("paused: not safe to delete").remove(0);
    assert!(reason["reason"].as_str().unwrap().contains("did not report its ring"), "{reason}");
    assert!(sweeper.logged("pass").iter().all(|pass| pass["result"] == "held"));
    assert_eq!(fixture.counts(), [1, 1]);
}

#[test]
fn retries_after_a_failed_pass() {
    let fixture = WatchFixture::start();
    let mut sweeper = fixture.watch("sweeper", &["--settle", "0s", "--single"]);
    sweeper.wait("pass", 1);
    std::fs::remove_file(fixture.config()).unwrap();
    let failed = sweeper.wait("pass failed: retrying at the next interval", 1).remove(0);
    assert!(failed["error"].as_str().unwrap().contains("pushring.json"), "{failed}");
    fixture.configure(2);
    sweeper.wait("passes succeed again", 1);
    assert!(sweeper.metrics()["pushring_sweep_passes_total{result=\"failed\"}"] >= 1.0);
}

#[test]
fn rejects_wrong_flags_and_configurations_at_once() {
    let fixture = WatchFixture::start();
    let config = fixture.config();
    let run = |args: &[&str]| {
        let output = pushring(["sweep", "--config", config.to_str().unwrap()].iter().chain(args)).unwrap();
        (output.code, output.stderr)
    };
    let (code, error) = run(&["--watch", "15s"]);
    assert_eq!(code, 2);
    assert!(error.contains("--watch requires a lock"), "{error}");
    let (code, error) = run(&["--watch", "10ms", "--single"]);
    assert_eq!(code, 2);
    assert!(error.contains("--watch: found 10ms, allowed at least 1s"), "{error}");
    let taken = fixture.gateways[0].address.to_string();
    let (code, error) = run(&["--watch", "15s", "--single", "--listen", &taken]);
    assert_eq!(code, 2);
    assert!(error.contains(&format!("--listen {taken}")), "{error}");
    let (code, _) = run(&["--single"]);
    assert_eq!(code, 2, "it goes with --watch only");
    std::fs::remove_file(&config).unwrap();
    assert_eq!(run(&["--watch", "15s", "--single"]).0, 2);
}
