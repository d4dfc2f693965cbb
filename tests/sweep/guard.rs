//! Nothing is deleted while members settle, while an Envoy has another ring, or after members changed.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use pushring_harness::command::{self, pushring};
use pushring_harness::machine::isolated;
use pushring_harness::{
    Envoy, GatewayFixture, Layout, Member, Mode, Ports, Process, Shift, envoy_files, process, tools,
};
use rustix::process::Signal;

use crate::report::{doubled, misplaced, sweep};

/// Returns gateways with one stale copy.
fn sweepable(gateways: usize) -> (GatewayFixture, String) {
    let (mut fixture, path) = doubled(gateways);
    fixture.age(1);
    (fixture, path)
}

#[test]
fn changes_nothing_before_the_members_have_settled() {
    let (fixture, _) = sweepable(2);
    let config = fixture.config_file();
    let args = ["sweep", "--config", config.to_str().unwrap(), "--settle", "1h"];
    // Sets the modification time to two hours ago; only the change time shows that the file is new.
    let file = fs::File::options().append(true).open(&config).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(7200)).unwrap();
    let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
    command.args(args);
    let mut waiting = Process::start("sweep", command, fixture.dir.path()).unwrap();
    waiting.wait_until("waiting", |sweep| sweep.log().contains("waiting 3").then_some(())).unwrap();
    assert_eq!(fixture.counts(), [1, 1]);
    let status = waiting.stop(Signal::INT).unwrap();
    assert_eq!((status.code(), fixture.counts()), (Some(1), vec![1, 1]));
    assert!(waiting.log().contains("interrupted: nothing was changed"), "{}", waiting.log());

    // The file has been there for longer than the settling time: no waiting.
    let output = pushring(args[..4].iter().chain(&["1ms"])).unwrap();
    assert_eq!((output.code, output.stderr.as_str(), fixture.counts()), (0, "", vec![1, 0]));
}

#[test]
fn changes_nothing_if_an_envoy_has_another_ring() {
    let (mut fixture, _) = sweepable(2);
    let mode = Mode::Endpoint;
    let layout = Layout::create(&fixture.dir.path().join("envoy"), mode, Ports::default()).unwrap();
    let members = envoy_files::members(&fixture.config.to_string());
    let mut config = envoy_files::config(mode, &members[..1]).unwrap();
    layout.write(&config).unwrap();
    let envoy = Envoy::start(&layout, 1).unwrap();
    let url = format!("http://{}", envoy.push);

    let output = sweep(&fixture, &["--envoy", &url]);
    assert_eq!((output.code, fixture.counts()), (2, vec![1, 1]));
    assert!(output.stderr.contains("no status_path") || output.stderr.contains("has digest"), "{output:?}");

    let status_path = config["status_path"].clone();
    fixture.configure(serde_json::json!({"status_path": status_path}));
    let output = sweep(&fixture, &["--envoy", &url]);
    assert_eq!((output.code, fixture.counts()), (2, vec![1, 1]));
    assert!(output.stderr.contains("has digest"), "{output:?}");
    let output = sweep(&fixture, &["--envoy", "http://127.0.0.1:1"]);
    assert_eq!((output.code, fixture.counts()), (2, vec![1, 1]));

    config = envoy_files::config(mode, &members).unwrap();
    layout.publish(&config, Some(envoy.admin)).unwrap();
    let names: Vec<&str> = members.iter().map(|member: &Member| member.name.as_str()).collect();
    envoy.wait_members(&names).unwrap();
    let output = sweep(&fixture, &["--envoy", &url]);
    assert_eq!((output.code, fixture.counts()), (0, vec![1, 0]), "{output:?}");
}

#[test]
fn asks_every_address_of_a_name() {
    isolated("guard::asks_every_address_of_a_name", || {
        let (mut fixture, _) = sweepable(2);
        fixture.configure(serde_json::json!({"mode": "endpoint", "status_path": "/-/pushring"}));
        let layout =
            Layout::create(&fixture.dir.path().join("envoy"), Mode::Endpoint, Ports::default()).unwrap();
        layout.write(&fixture.config).unwrap();
        let envoy = Envoy::start(&layout, 1).unwrap();
        let members = envoy_files::members(&fixture.config.to_string());
        let names: Vec<&str> = members.iter().map(|member: &Member| member.name.as_str()).collect();
        envoy.wait_members(&names).unwrap();
        let url = format!("http://envoys:{}", envoy.push.port());

        fs::write("/etc/hosts", "127.0.0.1 envoys\n127.0.0.2 envoys\n").unwrap();
        let output = sweep(&fixture, &["--envoy", &url]);
        assert_eq!((output.code, fixture.counts()), (2, vec![1, 1]), "{output:?}");
        assert!(output.stderr.contains(&format!("{url} (127.0.0.2:")), "{output:?}");

        fs::write("/etc/hosts", "127.0.0.1 envoys\n").unwrap();
        let output = sweep(&fixture, &["--envoy", &url]);
        assert_eq!((output.code, fixture.counts()), (0, vec![1, 0]), "{output:?}");

        fs::write("/etc/hosts", "").unwrap();
        let output = sweep(&fixture, &["--envoy", &url]);
        assert!(output.code == 2 && output.stderr.contains("are unknown"), "{output:?}");
    });
}

#[test]
fn ends_if_members_change_during_the_sweep() {
    let (mut fixture, path) = sweepable(3);
    let config = fixture.config_file();
    // In the new ring the first gateway, the owner, is missing.
    let changed = fixture.config.clone();
    let reads = AtomicUsize::new(0);
    fixture.proxy(2, Shift::default(), {
        let config = config.clone();
        move |_| {
            if reads.fetch_add(1, Ordering::Relaxed) == 0 {
                let mut changed = changed.clone();
                changed["members"].as_array_mut().unwrap().remove(0);
                fs::write(&config, changed.to_string()).unwrap();
            }
        }
    });
    assert_eq!(fixture.owner(&path), 0);
    let output = sweep(&fixture, &[]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 1, 0]));
    assert_eq!(misplaced(&output)["g1"].1, "not_safe", "{output:?}");
}

#[test]
fn ends_if_members_change_during_the_second_reading() {
    let mut fixture = GatewayFixture::start(3);
    let (slow, quick) = (fixture.path_of(0, 0), fixture.path_of(1, 1));
    for (owner, path) in [(0, slow), (1, quick)] {
        fixture.put(owner + 1, &path, "a 1\n");
        fixture.put(owner, &path, "a 2\n");
    }
    fixture.age(1);
    fixture.proxy(2, Shift::age(7200), |_| ());
    let (config, mut changed) = (fixture.config_file(), fixture.config.clone());
    changed["members"].as_array_mut().unwrap().remove(0);
    let reads = AtomicUsize::new(0);
    // Gateways are read one after another, this one first, so that the other answers are younger than the change.
    fixture.proxy(0, Shift::default(), move |request| {
        if request.path == "/api/v1/metrics" && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            fs::write(&config, changed.to_string()).unwrap();
            thread::sleep(Duration::from_millis(60));
        }
    });
    let output = sweep(&fixture, &["--gateway-concurrency", "1", "--max-decision-age", "50ms"]);
    assert_eq!((output.code, fixture.counts()), (1, vec![1, 2, 1]), "{output:?}");
    assert_eq!(misplaced(&output)["g1"].1, "not_safe", "{output:?}");
}
