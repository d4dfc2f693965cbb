//! Events that end a drain early: Ctrl-C, a change of members, a restart of a gateway.

use std::process::Stdio;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

use pushring_harness::{Pushgateway, Shift, command, poll_until};
use rustix::process::{Pid, Signal, kill_process};

use crate::concurrent::{PATH, at, line};
use crate::fixture::{DrainFixture, exposed, has, push};

#[test]
fn keeps_groups_of_an_owner_that_restarts() {
    let mut fixture = DrainFixture::start(1, &[]);
    push(&fixture.source, "PUT", PATH, "a 1\n");
    let owner = fixture.owners[0].address;
    let dir = fixture.dir.path().to_owned();
    let first = Mutex::new(Some(fixture.owners.remove(0)));
    let second = Arc::new(Mutex::new(None));
    let started = Arc::clone(&second);
    let hook = at(1, "POST", "/metrics", &fixture.source, move |_| {
        drop(first.lock().unwrap().take());
        *started.lock().unwrap() = Some(Pushgateway::start_at(&dir, owner, &[]).unwrap());
    });
    fixture.proxy(owner, Shift::default(), hook);
    let config = fixture.write(&serde_json::json!({"members": [fixture.proxies[&owner].to_string()]}));
    let source = fixture.source.address.to_string();
    let args = ["drain", &source, "--settle=0s", "--output=json", "--config", config.to_str().unwrap()];
    let output = pushring_harness::command::pushring(args).unwrap();
    assert_eq!(output.code, 1, "{}", output.stdout);
    assert_eq!(output.json().unwrap()["kept"][0]["code"], "restarted", "{}", output.stdout);
    assert!(has(&fixture.source, &line("a", 1)));
    drop(second);
}

#[test]
fn keeps_groups_if_the_source_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let flag = format!("--persistence.file={}", dir.path().join("groups").display());
    let mut fixture = DrainFixture::start(1, &[]);
    let source = Pushgateway::start(dir.path(), &[&flag]).unwrap();
    push(&source, "PUT", PATH, "a 1\n");
    let address = source.address;
    let (running, logs) = (Arc::new(Mutex::new(None)), dir.path().to_owned());
    let restarted = Arc::clone(&running);
    let hook = at(1, "POST", "/metrics", &source, move |_| {
        let mut running = restarted.lock().unwrap();
        let mut source: Pushgateway = running.take().unwrap();
        source.process.stop(Signal::TERM).unwrap();
        *running = Some(Pushgateway::start_at(&logs, address, &[&flag]).unwrap());
    });
    let owner = fixture.owners[0].address;
    fixture.proxy(owner, Shift::default(), hook);
    fixture.source = source;
    let args = fixture.args(&[]);
    *running.lock().unwrap() = Some(fixture.source);
    let output = pushring_harness::command::pushring(args).unwrap();
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert_eq!(output.json().unwrap()["kept"][0]["code"], "restarted", "{}", output.stdout);
    assert!(has(running.lock().unwrap().as_ref().unwrap(), &line("a", 1)));
}

#[test]
fn stops_if_the_members_change() {
    let mut fixture = DrainFixture::start(1, &[]);
    push(&fixture.source, "PUT", PATH, "a 1\n");
    let (owner, source) = (fixture.owners[0].address, fixture.source.address);
    let config = fixture.config();
    // The gateway is in the ring again and owns the group that is being copied.
    let hook = at(1, "POST", "/metrics", &fixture.source, move |_| {
        std::fs::write(&config, format!(r#"{{"members": ["{source}"]}}"#)).unwrap();
    });
    fixture.proxy(owner, Shift::default(), hook);
    assert_eq!(fixture.kept(), "not_safe");
    assert!(has(&fixture.source, &line("a", 1)));
}

#[test]
fn ctrl_c_ends_after_the_current_request() {
    let mut fixture = DrainFixture::start(1, &[]);
    for index in 0..5 {
        push(&fixture.source, "PUT", &format!("/metrics/job/j{index}"), "a 1\n");
    }
    let before = exposed(&fixture.source);
    let pid = Arc::new(AtomicI32::new(0));
    let interrupted = Arc::clone(&pid);
    let owner = fixture.owners[0].address;
    let hook = at(3, "POST", "/metrics", &fixture.source, move |_| {
        let pid =
            poll_until("its process id", || Pid::from_raw(interrupted.load(Ordering::Relaxed))).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    });
    fixture.proxy(owner, Shift::default(), hook);
    let mut command = command::command().unwrap();
    let child =
        command.args(fixture.args(&[])).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    pid.store(child.id() as i32, Ordering::Relaxed);
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stdout} {stderr}");
    assert!(
        stdout.contains("\"interrupted\":true") && stderr.contains("run the same command again"),
        "{stdout} {stderr}"
    );
    assert_eq!(exposed(&fixture.source), before);
    assert_eq!(fixture.owners[0].groups().unwrap().len(), 3);
    fixture.drain_all();
    assert_eq!(fixture.owned(), before);
}
