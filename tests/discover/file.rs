//! Members from a file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use pushring_harness::command::pushring;
use pushring_harness::load::Load;
use pushring_harness::{Mode, Pushgateway};
use rustix::process::Signal;
use serde_json::json;

use crate::running::Discover;

const FOUR: [&str; 4] = ["10.0.0.1:9091", "10.0.0.2:9091", "10.0.0.3:9091", "10.0.0.4:9091"];

fn write(path: &Path, gateways: &[&str]) {
    let new = path.with_extension("new");
    fs::write(&new, json!(gateways).to_string()).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn the_ring_follows_a_file_and_no_push_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateways.json");
    let gateways = [(); 3].map(|()| Pushgateway::start(dir.path(), &[]).unwrap());
    let names = gateways.each_ref().map(|gateway| gateway.address.to_string());
    let names = names.each_ref().map(String::as_str);
    write(&file, &names[..2]);
    let mut discover =
        Discover::with_envoy(Mode::Endpoint, &["--from", "file", "--file", file.to_str().unwrap()]);
    let envoy = discover.envoy.as_ref().unwrap();
    envoy.wait_members(&names[..2]).unwrap();
    let load = Load::start(envoy.push, 2);
    write(&file, &names);
    envoy.wait_members(&names).unwrap();
    fs::write(&file, json!([names[0], {"address": names[1], "leaving": true}, names[2]]).to_string())
        .unwrap();
    envoy.wait_members(&[names[0], names[2]]).unwrap();
    // Nothing is published in between: the file is away.
    fs::remove_file(&file).unwrap();
    discover.wait_metric("pushring_discover_source_up", 0.0);
    write(&file, &names);
    let envoy = discover.envoy.as_ref().unwrap();
    envoy.wait_members(&names).unwrap();
    load.stop().assert_none_failed();
    discover.wait_metric("pushring_discover_source_up", 1.0);
    discover.wait_log("left", 1);
    assert!(!discover.process.log().contains("vanished"), "{}", discover.process.log());
    discover.stop();
}

/// As Kubernetes replaces the files of a ConfigMap, and as releases are switched.
#[test]
fn follows_links_that_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let version = |number: usize, gateways: &[&str]| {
        let folder = dir.path().join(format!("..version{number}"));
        fs::create_dir(&folder).unwrap();
        write(&folder.join("gateways.json"), gateways);
        let new = dir.path().join("..data_tmp");
        symlink(folder.file_name().unwrap(), &new).unwrap();
        fs::rename(new, dir.path().join("..data")).unwrap();
    };
    version(1, &FOUR[..3]);
    let file = dir.path().join("gateways.json");
    symlink("..data/gateways.json", &file).unwrap();
    let discover = Discover::start(&["--from", "file", "--file", file.to_str().unwrap()]);
    discover.wait_ring(&FOUR[..3]);
    version(2, &FOUR);
    fs::remove_dir_all(dir.path().join("..version1")).unwrap();
    discover.wait_ring(&FOUR);
    version(3, &FOUR[1..]);
    discover.wait_ring(&FOUR[1..]);
}

#[test]
fn settings_that_the_filter_rejects_hold_no_change_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateways.json");
    write(&file, &FOUR[..3]);
    let mut discover = Discover::start(&["--from", "file", "--file", file.to_str().unwrap()]);
    discover.wait_ring(&FOUR[..3]);
    let settings = discover.layout.dir().join("consul-template/settings.yaml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace("route_by: group", "route_by: groups")).unwrap();
    discover.wait_log("settings rejected; the last ones stay", 1);
    write(&file, &FOUR);
    discover.wait_ring(&FOUR);
    // With nothing to fall back to, the start fails.
    discover.stop();
    let (code, message) = discover.once();
    assert!(code == Some(2) && message.contains("route_by: found \"groups\""), "{code:?} {message}");
}

#[test]
fn one_discover_has_a_live_folder() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateways.json");
    write(&file, &FOUR);
    let file = file.to_str().unwrap();
    let mut discover = Discover::start(&["--from", "file", "--file", file]);
    discover.wait_ring(&FOUR);
    let live = discover.layout.live();
    let settings = discover.layout.dir().join("consul-template/settings.yaml");
    let args = ["discover", "--from", "file", "--file", file, "--once", "--live", live.to_str().unwrap()];
    let second = || pushring([&args[..], &["--settings", settings.to_str().unwrap()]].concat()).unwrap();
    let refused = second();
    let reason =
        format!("another discover for this folder (process {}) has held the lock", discover.process.id());
    assert!(refused.code == 1 && refused.stderr.contains(&reason), "{}", refused.stderr);
    discover.process.signal(Signal::HUP);
    discover.wait_log("settings read", 1);
    discover.stop();
    let published = second();
    assert_eq!(published.code, 0, "{}", published.stderr);
}

#[test]
fn series_of_members_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateways.json");
    write(&file, &FOUR[..2]);
    let mut discover =
        Discover::start(&["--from", "file", "--file", file.to_str().unwrap(), "--forget", "0s"]);
    let info = |address: &str| {
        format!(
            "pushring_member_info{{member=\"{address}\",address=\"{address}\",cluster=\"pushgateway-{address}\"}}"
        )
    };
    let share = |address: &str| format!("pushring_member_share{{member=\"{address}\"}}");
    discover.wait_metric(&info(FOUR[0]), 1.0);
    discover.wait_metric(&info(FOUR[1]), 1.0);
    let sum = |discover: &mut Discover| {
        FOUR.iter().filter_map(|member| discover.metric(&share(member))).sum::<f64>()
    };
    // The shares follow as soon as the ring is live.
    let is_whole = |sum: f64| (sum - 1.0).abs() < 1e-9;
    pushring_harness::poll_until("the shares of the ring", || is_whole(sum(&mut discover)).then_some(()))
        .unwrap();
    write(&file, &FOUR[1..3]);
    discover.wait_metric(&info(FOUR[2]), 1.0);
    discover.wait_ring(&FOUR[1..3]);
    pushring_harness::poll_until("the shares of the new ring", || {
        let shares = FOUR.map(|member| discover.metric(&share(member)));
        (shares.map(|share| share.is_some()) == [false, true, true, false]).then_some(())
    })
    .unwrap();
    assert_eq!(discover.metric(&info(FOUR[0])), None);
    assert!(is_whole(sum(&mut discover)));
}
