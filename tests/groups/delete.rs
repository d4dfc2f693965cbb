//! `pushring delete`.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pushring_harness::gateway_fixture::HOUR_OLD;
use pushring_harness::{GatewayFixture, command};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::report::{jobs, told, wait_jobs};

/// One group on both gateways, another job beside it, and one whose name only begins alike.
fn world() -> GatewayFixture {
    let world = GatewayFixture::start(2);
    for gateway in [0, 1] {
        world.put(gateway, "/metrics/job/ci/n/1", "a 1\n");
    }
    world.put(0, "/metrics/job/ci/n/2", "a 1\n");
    world.put(0, "/metrics/job/ci-old", "a 1\n");
    world.put(1, "/metrics/job/backup", "a 1\n");
    world
}

#[test]
fn every_copy_goes_and_nothing_else() {
    let world = world();
    let (code, report) = world.json("delete", &["--job", "ci|back", "--dry-run"]);
    assert_eq!((code, &report["dry_run"]), (1, &json!(true)));
    assert_eq!(told(&report, "result"), ["ci on g0: deleted", "ci on g0: deleted", "ci on g1: deleted"]);
    assert_eq!(jobs(&world), [vec!["ci", "ci", "ci-old"], vec!["backup", "ci"]]);

    let (code, report) = world.json("delete", &["--job", "ci", "--label", "n=1", "--yes"]);
    assert_eq!((code, report["groups"].as_array().unwrap().len()), (0, 2));
    let row = report["groups"][0].as_object().unwrap();
    assert_eq!(row.keys().collect::<Vec<_>>(), ["age_seconds", "labels", "on", "result"]);
    wait_jobs(&world, [&["ci", "ci-old"], &["backup"]]);

    let output = world.run("delete", &["--label", "n=2", "--yes"]);
    assert_eq!(output.code, 0);
    assert!(output.stdout.ends_with("1 deleted, 0 kept\n"), "{}", output.stdout);
    wait_jobs(&world, [&["ci-old"], &["backup"]]);
    let none = json!({"dry_run": false, "groups": [], "unreadable": []});
    assert_eq!(world.json("delete", &["--job", "ci", "--yes"]), (0, none));
}

#[test]
fn it_is_refused_without_a_choice_and_without_somebody_to_ask() {
    let world = world();
    for (args, said) in [
        (&["--yes"][..], "nothing is chosen"),
        (&["--older-than", "1h", "--yes"], "nothing is chosen"),
        (&["--job", "ci"], "no terminal"),
    ] {
        let output = world.run("delete", args);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{args:?}");
        assert!(output.stderr.contains(said), "{}", output.stderr);
    }
    assert_eq!(jobs(&world), [vec!["ci", "ci", "ci-old"], vec!["backup", "ci"]]);
}

/// Runs it on a terminal where somebody types an answer: exit code, standard output, standard error.
fn asked(world: &GatewayFixture, answer: &str) -> (Option<i32>, String, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let terminal = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut command = command::command().unwrap();
    command.args(["delete", "--job", "ci", "--config"]).arg(world.config_file()).stdin(terminal);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Only the question is an occasion to answer.
    let mut stderr = child.stderr.take().unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"[y/N] ") {
        let mut byte = [0];
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    File::from(master.try_clone().unwrap()).write_all(answer.as_bytes()).unwrap();
    stderr.read_to_end(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&said))
}

#[test]
fn on_a_terminal_it_shows_and_asks() {
    let world = world();
    for answer in ["\n", "n\n", "yess\n", "\u{4}"] {
        let (code, stdout, stderr) = asked(&world, answer);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{answer:?} {stderr}");
        assert!(
            stderr.contains("{job=\"ci\",n=\"1\"}") && stderr.contains("Delete 3 groups? [y/N]"),
            "{stderr}"
        );
        assert_eq!(jobs(&world)[0], ["ci", "ci", "ci-old"]);
    }
    let (code, stdout, _) = asked(&world, "Yes\n");
    assert_eq!(code, Some(0));
    assert!(stdout.ends_with("3 deleted, 0 kept\n"), "{stdout}");
    wait_jobs(&world, [&["ci-old"], &["backup"]]);
}

#[test]
fn what_is_pushed_to_after_it_was_shown_stays() {
    let mut world = world();
    let client = Mutex::new(world.client(0));
    let reads = AtomicUsize::new(0);
    world.proxy(0, HOUR_OLD, move |request| {
        if request.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            client.lock().unwrap().post("/metrics/job/ci/n/1", "a 2\n").unwrap();
        }
    });
    let (code, report) = world.json("delete", &["--job", "ci", "--yes"]);
    assert_eq!(code, 1);
    assert_eq!(told(&report, "result"), ["ci on g0: kept", "ci on g0: deleted", "ci on g1: deleted"]);
    assert!(report["groups"][0]["reason"].as_str().unwrap().contains("changed meanwhile"));
    wait_jobs(&world, [&["ci", "ci-old"], &["backup"]]);
    assert!(world.gateways[0].metrics().unwrap().contains("n=\"1\"} 2\n"));
}

#[test]
fn older_than_is_by_the_clock_of_the_gateway_and_takes_no_unknown_age() {
    let mut world = world();
    // A stub of the same job.
    assert_eq!(world.send(1, "/metrics/job/ci/n/stub", "# TYPE a counter\na 1\n"), 400);
    world.age(1);
    let (code, report) = world.json("delete", &["--job", "ci", "--older-than", "30m", "--yes"]);
    assert_eq!((code, told(&report, "result")), (0, vec!["ci on g1: deleted".to_owned()]));
    wait_jobs(&world, [&["ci", "ci", "ci-old"], &["backup", "ci"]]);
    // Without it the stub goes too.
    assert_eq!(world.json("delete", &["--job", "ci", "--yes"]).0, 0);
    wait_jobs(&world, [&["ci-old"], &["backup"]]);
}

#[test]
fn what_cannot_be_addressed_and_who_does_not_answer_is_told() {
    let mut world = world();
    assert_eq!(world.send(0, "/metrics/job/ci/x/%ff", "a 1\n"), 400);
    world.configure(json!({"route_by": "path"}));
    world.gateways[1].process.kill();
    let (code, report) = world.json("delete", &["--job", "ci", "--label", "n=2", "--yes"]);
    // Nothing of it is known to be left, but it may lie on the gateway that is gone.
    assert_eq!((code, told(&report, "result")), (1, vec!["ci on g0: deleted".to_owned()]));
    assert_eq!(report["unreadable"][0]["gateway"], "g1");
    let (code, report) = world.json("delete", &["--job", "ci", "--label", "x=\u{fffd}", "--yes"]);
    assert_eq!(
        (code, told(&report, "reason")),
        (1, vec!["ci on g0: one of its labels is not UTF-8".to_owned()])
    );
}
