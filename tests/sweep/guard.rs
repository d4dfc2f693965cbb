//! When nothing may be touched: members that settle, Envoys with another ring, members that change meanwhile.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use pushring_harness::command::{self, pushring};
use pushring_harness::{
    Envoy, GatewayFixture, Layout, Member, Mode, Ports, Process, Shift, live, process, tools,
};
use rustix::process::Signal;

use crate::report::{doubled, sweep};

/// A world in which one copy may go.
fn sweepable(gateways: usize) -> (GatewayFixture, String) {
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
    let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
    command.args(args);
    let mut waiting = Process::start("sweep", command, world.dir.path()).unwrap();
    waiting.wait_until("waiting", |sweep| sweep.log().contains("waiting 3600 s").then_some(())).unwrap();
    assert_eq!(world.counts(), [1, 1]);
    let status = waiting.stop(Signal::INT).unwrap();
    assert_eq!((status.code(), world.counts()), (Some(1), vec![1, 1]));
    assert!(waiting.log().contains("interrupted: nothing was touched"), "{}", waiting.log());

    // The file has been there for longer than the settling time: no waiting.
    let output = pushring(args[..4].iter().chain(&["1ms"])).unwrap();
    assert_eq!((output.code, output.stderr.as_str(), world.counts()), (0, "", vec![1, 0]));
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

    let output = sweep(&world, &["--envoy", &url]);
    assert_eq!((output.code, world.counts()), (2, vec![1, 1]));
    assert!(
        output.stderr.contains("no status_path") || output.stderr.contains("has the digest"),
        "{output:?}"
    );

    let status_path = config["status_path"].clone();
    world.configure(serde_json::json!({"status_path": status_path}));
    let output = sweep(&world, &["--envoy", &url]);
    assert_eq!((output.code, world.counts()), (2, vec![1, 1]));
    assert!(output.stderr.contains("has the digest"), "{output:?}");
    let output = sweep(&world, &["--envoy", "http://127.0.0.1:1"]);
    assert_eq!((output.code, world.counts()), (2, vec![1, 1]));

    config = live::config(mode, &members).unwrap();
    layout.publish(&config, Some(envoy.admin)).unwrap();
    let names: Vec<&str> = members.iter().map(|member: &Member| member.name.as_str()).collect();
    envoy.wait_members(&names).unwrap();
    let output = sweep(&world, &["--envoy", &url]);
    assert_eq!((output.code, world.counts()), (0, vec![1, 0]), "{output:?}");
}

#[test]
fn members_that_change_during_the_sweep_end_it() {
    let (mut world, path) = sweepable(3);
    let config = world.config_file();
    // With the third gateway alone in the ring, no copy on the others is the owner's.
    let changed = world.config.clone();
    let reads = AtomicUsize::new(0);
    world.proxy(2, Shift::default(), {
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
    let output = sweep(&world, &[]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 1, 0]));
    assert!(output.stdout.contains("changed while it ran"), "{output:?}");
}

#[test]
fn members_that_change_while_gateways_are_read_again_end_it() {
    let mut world = GatewayFixture::start(3);
    let (slow, quick) = (world.path_of(0, 0), world.path_of(1, 1));
    for (owner, path) in [(0, slow), (1, quick)] {
        world.put(owner + 1, &path, "a 1\n");
        world.put(owner, &path, "a 2\n");
    }
    world.age(1);
    world.proxy(2, Shift::age(7200), |_| ());
    let (config, mut changed) = (world.config_file(), world.config.clone());
    changed["members"].as_array_mut().unwrap().remove(0);
    let reads = AtomicUsize::new(0);
    // Read first of the three, one after the other: the others are fresh when the members are not any more.
    world.proxy(0, Shift::default(), move |request| {
        if request.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            fs::write(&config, changed.to_string()).unwrap();
            thread::sleep(Duration::from_millis(60));
        }
    });
    let output = sweep(&world, &["--gateway-concurrency", "1", "--max-decision-age", "50ms"]);
    assert_eq!((output.code, world.counts()), (1, vec![1, 2, 1]), "{output:?}");
    assert!(output.stdout.contains("changed while it ran"), "{output:?}");
}
