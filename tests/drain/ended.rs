//! What ends a drain in its middle: Ctrl-C, members that change, a gateway that restarts.

use std::process::Stdio;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

use pushring_harness::{Pushgateway, Shift, command, poll_until};
use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{DrainFixture, exposed, has, push};
use crate::meanwhile::{PATH, at, line};

#[test]
fn an_owner_that_restarts_has_to_be_looked_at_anew() {
    let mut world = DrainFixture::start(1, &[]);
    push(&world.source, "PUT", PATH, "a 1\n");
    let owner = world.owners[0].address;
    let dir = world.dir.path().to_owned();
    let first = Mutex::new(Some(world.owners.remove(0)));
    let second = Arc::new(Mutex::new(None));
    let started = Arc::clone(&second);
    let hook = at(1, "POST", "/metrics", &world.source, move |_| {
        drop(first.lock().unwrap().take());
        *started.lock().unwrap() = Some(Pushgateway::start_at(&dir, owner, &[]).unwrap());
    });
    world.proxy(owner, Shift::default(), hook);
    let config = world.write(&serde_json::json!({"members": [world.proxies[&owner].to_string()]}));
    let args =
        ["drain", &world.source.address.to_string(), "--settle=0s", "--config", config.to_str().unwrap()];
    let output = pushring_harness::command::pushring(args).unwrap();
    assert_eq!(output.code, 1, "{}", output.stdout);
    assert!(output.stdout.contains("restarted"), "{}", output.stdout);
    assert!(has(&world.source, &line("a", 1)));
    drop(second);
}

#[test]
fn a_source_that_restarts_has_to_be_looked_at_anew() {
    let dir = tempfile::tempdir().unwrap();
    let flag = format!("--persistence.file={}", dir.path().join("groups").display());
    let mut world = DrainFixture::start(1, &[]);
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
    let owner = world.owners[0].address;
    world.proxy(owner, Shift::default(), hook);
    world.source = source;
    let args = world.args(&[]);
    *running.lock().unwrap() = Some(world.source);
    let output = pushring_harness::command::pushring(args).unwrap();
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(output.stdout.contains("was restarted"), "{}", output.stdout);
    assert!(has(running.lock().unwrap().as_ref().unwrap(), &line("a", 1)));
}

#[test]
fn it_stops_when_the_members_change() {
    let mut world = DrainFixture::start(1, &[]);
    push(&world.source, "PUT", PATH, "a 1\n");
    let (owner, source) = (world.owners[0].address, world.source.address);
    let config = world.config();
    // The gateway is back on the ring, and owns what is being copied.
    let hook = at(1, "POST", "/metrics", &world.source, move |_| {
        std::fs::write(&config, format!(r#"{{"members": ["{source}"]}}"#)).unwrap();
    });
    world.proxy(owner, Shift::default(), hook);
    let reason = world.kept();
    assert!(reason.contains("members or settings changed"), "{reason}");
    assert!(has(&world.source, &line("a", 1)));
}

#[test]
fn ctrl_c_ends_after_the_request_under_way() {
    let mut world = DrainFixture::start(1, &[]);
    for index in 0..5 {
        push(&world.source, "PUT", &format!("/metrics/job/j{index}"), "a 1\n");
    }
    let before = exposed(&world.source);
    let pid = Arc::new(AtomicI32::new(0));
    let interrupted = Arc::clone(&pid);
    let owner = world.owners[0].address;
    let hook = at(3, "POST", "/metrics", &world.source, move |_| {
        let pid =
            poll_until("its process id", || Pid::from_raw(interrupted.load(Ordering::Relaxed))).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    });
    world.proxy(owner, Shift::default(), hook);
    let mut command = command::command().unwrap();
    let child = command.args(world.args(&[])).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    pid.store(child.id() as i32, Ordering::Relaxed);
    let output = child.wait_with_output().unwrap();
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told} {said}");
    assert!(
        told.contains("\"interrupted\":true") && said.contains("run the same command again"),
        "{told} {said}"
    );
    assert_eq!(exposed(&world.source), before);
    assert_eq!(world.owners[0].groups().unwrap().len(), 3);
    world.drain_all();
    assert_eq!(world.owned(), before);
}
