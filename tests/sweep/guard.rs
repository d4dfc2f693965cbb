//! When nothing may be touched: members that settle, Envoys with another ring, members that change meanwhile.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pushring_harness::command::pushring;
use pushring_harness::tap::Shift;
use pushring_harness::{
    Envoy, Layout, Member, Mode, Ports, Process, World, live, poll_until, process, tools,
};
use rustix::process::Signal;

use crate::report::{doubled, sweep};

/// The oldest that a decision may be.
const DECISION_MAX: Duration = Duration::from_secs(1);

/// A world in which one copy may go.
fn sweepable(gateways: usize) -> (World, String) {
    let (mut world, path) = doubled(gateways);
    world.age(1);
    (world, path)
}

#[test]
fn nothing_is_touched_before_the_members_have_settled() {
    let (world, _) = sweepable(2);
    let config = world.config_file();
    let args = ["sweep", "--config", config.to_str().unwrap(), "--settle", "1h"];
    // As if it had been written two hours ago and moved here just now.
    let file = fs::File::options().append(true).open(&config).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(7200)).unwrap();
    let mut command = process::command(&tools::pushring().unwrap());
    command.args(args);
    let mut waiting = Process::start("sweep", command, world.dir.path()).unwrap();
    waiting.wait_until("waiting", |sweep| sweep.log().contains("waiting 3600 s").then_some(())).unwrap();
    assert_eq!(world.counts(), [1, 1]);
    let status = waiting.stop(Signal::INT).unwrap();
    assert_eq!((status.code(), world.counts()), (Some(1), vec![1, 1]));
    assert!(waiting.log().contains("interrupted: nothing was touched"), "{}", waiting.log());

    // It is there for longer than the settling time: no waiting.
    let came = UNIX_EPOCH + Duration::from_secs(config.metadata().unwrap().ctime().cast_unsigned());
    let settled = || (came.elapsed().unwrap() > Duration::from_secs(3)).then_some(());
    poll_until("the settling time to be over", settled).unwrap();
    let ran = pushring(args[..4].iter().chain(&["2s"])).unwrap();
    assert_eq!((ran.code, ran.stderr.as_str(), world.counts()), (0, "", vec![1, 0]));
}

#[test]
fn an_envoy_with_another_ring_stops_everything() {
    let (mut world, _) = sweepable(2);
    let mode = Mode::Endpoint;
    let layout = Layout::create(&world.dir.path().join("envoy"), mode, Ports::default()).unwrap();
    let members = live::members(&world.config.to_string());
    let mut config = live::config(mode, &members[..1]).unwrap();
    layout.write(&config).unwrap();
    let envoy = Envoy::start(&layout, 1).unwrap();
    let url = format!("http://{}", envoy.push);

    let ran = sweep(&world, &["--envoy", &url]);
    assert_eq!((ran.code, world.counts()), (2, vec![1, 1]));
    assert!(ran.stderr.contains("no status_path") || ran.stderr.contains("has the digest"), "{ran:?}");

    let status_path = config["status_path"].clone();
    world.configure(serde_json::json!({"status_path": status_path}));
    let ran = sweep(&world, &["--envoy", &url]);
    assert_eq!((ran.code, world.counts()), (2, vec![1, 1]));
    assert!(ran.stderr.contains("has the digest"), "{ran:?}");
    let ran = sweep(&world, &["--envoy", "http://127.0.0.1:1"]);
    assert_eq!((ran.code, world.counts()), (2, vec![1, 1]));

    config = live::config(mode, &members).unwrap();
    layout.publish(&config, Some(envoy.admin)).unwrap();
    let names: Vec<&str> = members.iter().map(|member: &Member| member.name.as_str()).collect();
    envoy.wait_members(&names).unwrap();
    let ran = sweep(&world, &["--envoy", &url]);
    assert_eq!((ran.code, world.counts()), (0, vec![1, 0]), "{ran:?}");
}

#[test]
fn members_that_change_during_the_sweep_end_it() {
    let (mut world, path) = sweepable(3);
    let config = world.config_file();
    // With the third gateway alone in the ring, no copy on the others is the owner's.
    let changed = world.config.clone();
    let reads = AtomicUsize::new(0);
    world.tap(2, Shift::default(), {
        let config = config.clone();
        move |_| {
            if reads.fetch_add(1, Ordering::Relaxed) == 0 {
                let mut changed = changed.clone();
                changed["members"].as_array_mut().unwrap().remove(0);
                fs::write(&config, changed.to_string()).unwrap();
            }
        }
    });
    assert_eq!(world.owner(&path), 0);
    let ran = sweep(&world, &[]);
    assert_eq!((ran.code, world.counts()), (1, vec![1, 1, 0]));
    assert!(ran.stdout.contains("changed while it ran"), "{ran:?}");
}

#[test]
fn members_that_change_while_gateways_are_read_again_end_it() {
    let mut world = World::start(3);
    let (slow, quick) = (world.path_of(0, 0), world.path_of(1, 1));
    for (owner, path) in [(0, slow), (1, quick)] {
        world.put(owner + 1, &path, "a 1\n");
        world.put(owner, &path, "a 2\n");
    }
    world.age(1);
    world.tap(2, Shift { clock: 0, age: 7200 }, |_| ());
    let (config, mut changed) = (world.config_file(), world.config.clone());
    changed["members"].as_array_mut().unwrap().remove(0);
    let reads = AtomicUsize::new(0);
    // Read first of the three, one after the other: the others are fresh when the members are not any more.
    world.tap(0, Shift::default(), move |passing| {
        if passing.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            fs::write(&config, changed.to_string()).unwrap();
            thread::sleep(DECISION_MAX + Duration::from_millis(100));
        }
    });
    let ran = sweep(&world, &["--gateway-concurrency", "1"]);
    assert_eq!((ran.code, world.counts()), (1, vec![1, 2, 1]), "{ran:?}");
    assert!(ran.stdout.contains("changed while it ran"), "{ran:?}");
}
