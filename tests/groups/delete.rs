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

use crate::report::{jobs, rows, wait_jobs};

/// Stores one group on both gateways, another job, and a job whose name has the same beginning.
fn fixture() -> GatewayFixture {
    let fixture = GatewayFixture::start(2);
    for gateway in [0, 1] {
        fixture.put(gateway, "/metrics/job/ci/n/1", "a 1\n");
    }
    fixture.put(0, "/metrics/job/ci/n/2", "a 1\n");
    fixture.put(0, "/metrics/job/ci-old", "a 1\n");
    fixture.put(1, "/metrics/job/backup", "a 1\n");
    fixture
}

#[test]
fn deletes_every_selected_copy_and_nothing_else() {
    let fixture = fixture();
    let (code, report) = fixture.json("delete", &["--job", "ci|back", "--dry-run"]);
    assert_eq!((code, &report["dry_run"]), (1, &json!(true)));
    assert_eq!(rows(&report, "result"), ["ci on g0: deleted", "ci on g0: deleted", "ci on g1: deleted"]);
    assert_eq!(jobs(&fixture), [vec!["ci", "ci", "ci-old"], vec!["backup", "ci"]]);

    let (code, report) = fixture.json("delete", &["--job", "ci", "--label", "n=1", "--yes"]);
    assert_eq!((code, report["groups"].as_array().unwrap().len()), (0, 2));
    let row = report["groups"][0].as_object().unwrap();
    assert_eq!(row.keys().collect::<Vec<_>>(), ["age_seconds", "labels", "on", "result"]);
    wait_jobs(&fixture, [&["ci", "ci-old"], &["backup"]]);

    let output = fixture.run("delete", &["--label", "n=2", "--yes"]);
    assert_eq!(output.code, 0);
    assert!(output.stdout.ends_with("1 deleted, 0 kept\n"), "{}", output.stdout);
    wait_jobs(&fixture, [&["ci-old"], &["backup"]]);
    let none = json!({"dry_run": false, "groups": [], "unreadable": []});
    assert_eq!(fixture.json("delete", &["--job", "ci", "--yes"]), (0, none));
}

#[test]
fn rejects_a_run_without_selection_or_terminal() {
    let fixture = fixture();
    for (args, said) in [
        (&["--yes"][..], "no groups selected"),
        (&["--older-than", "1h", "--yes"], "no groups selected"),
        (&["--job", "ci"], "no terminal"),
    ] {
        let output = fixture.run("delete", args);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{args:?}");
        assert!(output.stderr.contains(said), "{}", output.stderr);
    }
    assert_eq!(jobs(&fixture), [vec!["ci", "ci", "ci-old"], vec!["backup", "ci"]]);
}

/// Runs the command on a terminal and types an answer; returns exit code, standard output and standard error.
fn asked(fixture: &GatewayFixture, answer: &str) -> (Option<i32>, String, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let terminal = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut command = command::command().unwrap();
    command.args(["delete", "--job", "ci", "--config"]).arg(fixture.config_file()).stdin(terminal);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Waits for the question before it answers.
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
fn asks_on_a_terminal() {
    let fixture = fixture();
    for answer in ["\n", "n\n", "yess\n", "\u{4}"] {
        let (code, stdout, stderr) = asked(&fixture, answer);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{answer:?} {stderr}");
        assert!(
            stderr.contains("{job=\"ci\",n=\"1\"}") && stderr.contains("Delete 3 groups? [y/N]"),
            "{stderr}"
        );
        assert_eq!(jobs(&fixture)[0], ["ci", "ci", "ci-old"]);
    }
    let (code, stdout, _) = asked(&fixture, "Yes\n");
    assert_eq!(code, Some(0));
    assert!(stdout.ends_with("3 deleted, 0 kept\n"), "{stdout}");
    wait_jobs(&fixture, [&["ci-old"], &["backup"]]);
}

#[test]
fn keeps_a_group_that_was_pushed_to_after_the_question() {
    let mut fixture = fixture();
    let client = Mutex::new(fixture.client(0));
    let reads = AtomicUsize::new(0);
    fixture.proxy(0, HOUR_OLD, move |request| {
        if request.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            client.lock().unwrap().post("/metrics/job/ci/n/1", "a 2\n").unwrap();
        }
    });
    let (code, report) = fixture.json("delete", &["--job", "ci", "--yes"]);
    assert_eq!(code, 1);
    assert_eq!(rows(&report, "result"), ["ci on g0: kept", "ci on g0: deleted", "ci on g1: deleted"]);
    assert_eq!(report["groups"][0]["code"], "changed");
    wait_jobs(&fixture, [&["ci", "ci-old"], &["backup"]]);
    assert!(fixture.gateways[0].metrics().unwrap().contains("n=\"1\"} 2\n"));
}

#[test]
fn older_than_uses_the_gateways_clock_and_skips_unknown_ages() {
    let mut fixture = fixture();
    // A stub of the same job.
    assert_eq!(fixture.send(1, "/metrics/job/ci/n/stub", "# TYPE a counter\na 1\n"), 400);
    fixture.age(1);
    let (code, report) = fixture.json("delete", &["--job", "ci", "--older-than", "30m", "--yes"]);
    assert_eq!((code, rows(&report, "result")), (0, vec!["ci on g1: deleted".to_owned()]));
    wait_jobs(&fixture, [&["ci", "ci", "ci-old"], &["backup", "ci"]]);
    // Without the flag, the stub is deleted too.
    assert_eq!(fixture.json("delete", &["--job", "ci", "--yes"]).0, 0);
    wait_jobs(&fixture, [&["ci-old"], &["backup"]]);
}

#[test]
fn reports_groups_without_a_path_and_unreachable_gateways() {
    let mut fixture = fixture();
    assert_eq!(fixture.send(0, "/metrics/job/ci/x/%ff", "a 1\n"), 400);
    fixture.configure(json!({"route_by": "path"}));
    fixture.gateways[1].process.kill();
    let (code, report) = fixture.json("delete", &["--job", "ci", "--label", "n=2", "--yes"]);
    // No group of the job is known to be left, but the unreachable gateway may have one.
    assert_eq!((code, rows(&report, "result")), (1, vec!["ci on g0: deleted".to_owned()]));
    assert_eq!(report["unreadable"][0]["gateway"], "g1");
    let (code, report) = fixture.json("delete", &["--job", "ci", "--label", "x=\u{fffd}", "--yes"]);
    assert_eq!((code, rows(&report, "code")), (1, vec!["ci on g0: not_utf8".to_owned()]));
}
