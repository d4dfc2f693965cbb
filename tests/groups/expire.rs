//! `pushring expire`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pushring_harness::gateway_fixture::HOUR_OLD;
use pushring_harness::{Consul, GatewayFixture, Shift};
use serde_json::json;

use crate::report::{jobs, told, wait_jobs};

const NOW: &[&str] = &["--settle", "0s"];

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [NOW, more].concat()
}

/// Three jobs on g0, where everything is an hour old; one on g1.
fn world() -> GatewayFixture {
    let mut world = GatewayFixture::start(2);
    for job in ["backup", "ci", "other"] {
        world.put(0, &format!("/metrics/job/{job}"), "a 1\n");
    }
    world.put(1, "/metrics/job/ci", "a 1\n");
    world.age(0);
    world
}

#[test]
fn each_job_by_its_own_time() {
    let world = world();
    let rules =
        ["--after", "2h", "--job", "c.=30m", "--job", "backup|ci=1s", "--job", "b=1s", "--job", "o=never"];
    let (code, report) = world.json("expire", &[&rules[..], &["--dry-run"]].concat());
    assert_eq!((code, &report["fresh"], &report["dry_run"]), (1, &json!(2), &json!(true)));
    assert_eq!(told(&report, "result"), ["backup on g0: deleted", "ci on g0: deleted"]);
    assert_eq!(jobs(&world), [vec!["backup", "ci", "other"], vec!["ci"]]);

    let (code, report) = world.json("expire", &args(&rules));
    assert_eq!((code, &report["fresh"], &report["unreadable"]), (0, &json!(2), &json!([])));
    let row = report["groups"][0].as_object().unwrap();
    assert_eq!(row.keys().collect::<Vec<_>>(), ["age_seconds", "labels", "on", "result"]);
    wait_jobs(&world, [&["other"], &["ci"]]);
    // By job alone, nothing else expires; never means never.
    assert_eq!(world.run("expire", &args(&["--job", "oth=1s"])).code, 0);
    assert_eq!(world.run("expire", &args(&["--after", "1s", "--job", "other|ci=never"])).code, 0);
    wait_jobs(&world, [&["other"], &["ci"]]);
    let output = world.run("expire", &args(&["--after", "30m"]));
    assert!(output.code == 0 && output.stdout.ends_with("1 fresh, 1 deleted, 0 kept\n"), "{output:?}");
    wait_jobs(&world, [&[], &["ci"]]);
}

#[test]
fn a_group_whose_age_cannot_be_told_is_kept_and_told() {
    let world = world();
    assert_eq!(world.send(0, "/metrics/job/stub", "# TYPE a counter\na 1\n"), 400);
    assert_eq!(world.send(0, "/metrics/job/x%ff", "a 1\n"), 400);
    let (code, report) = world.json("expire", &args(&["--after", "30m"]));
    assert_eq!((code, &report["fresh"]), (1, &json!(1)));
    assert_eq!(told(&report, "result")[3..], ["stub on g0: kept", "x\u{fffd} on g0: kept"]);
    assert!(report["groups"][3]["reason"].as_str().unwrap().contains("age is unknown"), "{report}");
    assert_eq!(report["groups"][3]["age_seconds"], json!(null));
    wait_jobs(&world, [&["stub", "x\u{fffd}"], &["ci"]]);
}

#[test]
fn a_push_between_reading_and_deleting_keeps_the_group() {
    let mut world = world();
    let client = Mutex::new(world.client(0));
    let reads = AtomicUsize::new(0);
    world.proxy(0, HOUR_OLD, move |request| {
        if request.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            client.lock().unwrap().post("/metrics/job/ci", "a 2\n").unwrap();
        }
    });
    let (code, report) = world.json("expire", &args(&["--after", "30m"]));
    assert_eq!(code, 1);
    assert_eq!(told(&report, "result"), ["backup on g0: deleted", "ci on g0: kept", "other on g0: deleted"]);
    wait_jobs(&world, [&["ci"], &["ci"]]);
    assert!(world.gateways[0].metrics().unwrap().contains("\na{instance=\"\",job=\"ci\"} 2\n"));
}

#[test]
fn clocks_that_are_off_do_not_age_a_group() {
    let mut world = GatewayFixture::start(2);
    world.put(0, "/metrics/job/ahead", "a 1\n");
    world.put(1, "/metrics/job/behind", "a 1\n");
    world.proxy(0, Shift { clock: 7200, age: 1200, ..Shift::default() }, |_| ());
    world.proxy(1, Shift::clock(-7200), |_| ());
    let (code, report) = world.json("expire", &args(&["--after", "10m"]));
    assert_eq!((code, told(&report, "result")), (0, vec!["ahead on g0: deleted".to_owned()]));
    wait_jobs(&world, [&[], &["behind"]]);
}

#[test]
fn one_gateway_that_does_not_answer_does_not_stop_the_others() {
    let mut world = world();
    world.gateways[1].process.kill();
    let (code, report) = world.json("expire", &args(&["--after", "30m"]));
    assert_eq!((code, told(&report, "result").len()), (1, 3));
    assert_eq!(report["unreadable"][0]["gateway"], "g1");
    assert!(world.gateways[0].groups().unwrap().is_empty());
}

#[test]
fn it_is_refused_where_nothing_expires_or_it_is_not_safe() {
    let world = world();
    for wrong in [
        &[][..],
        &["--after", "0s"],
        &["--job", "a=0s"],
        &["--job", "a"],
        &["--job", "a=never", "--after", "x"],
    ] {
        let output = world.run("expire", wrong);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{wrong:?}");
    }
    // A ring that Envoy would not take: nobody knows the members.
    let consul = Consul::start(world.dir.path()).unwrap();
    consul.register(world.addresses[0], "critical").unwrap();
    let url = format!("http://{}", consul.address);
    assert_eq!(world.run("expire", &args(&["--after", "1s", "--consul", &url])).code, 2);
    assert_eq!(jobs(&world), [vec!["backup", "ci", "other"], vec!["ci"]]);
}
