//! The command's image at work.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use pushring_harness::load::Load;
use pushring_harness::{Envoy, Layout, Mode, Ports, Process, Pushgateway, Templates, tools};
use rustix::process::Signal;
use serde_json::json;

use crate::container::Container;
use crate::registry::{PLATFORM, Registry, VERSION, dist, succeeds};

#[test]
fn says_its_version_and_checks_files() {
    let registry = Registry::with_images();
    let container = Container::pull(&registry);
    assert_eq!(container.user, 65_532);
    let version = succeeds(&mut container.command(&["--version"], &[], &[]));
    let labels = &registry.json("config", "pushring", PLATFORM)["config"]["Labels"];
    let revision = labels["org.opencontainers.image.revision"].as_str().unwrap();
    assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("pushring {VERSION} ({revision})\n"));
    let live = tools::repository().join("envoy/live/cluster");
    let ring = live.join("ring.yaml");
    let check = |file: &str| container.command(&["check", file], &[&live], &[]);
    succeeds(&mut check(ring.to_str().unwrap()));
    let missing = check(live.join("missing.yaml").to_str().unwrap()).output().unwrap();
    assert_eq!(missing.status.code(), Some(2), "{}", String::from_utf8_lossy(&missing.stderr));
}

#[test]
fn copies_the_filter_for_an_init_container() {
    let registry = Registry::with_images();
    let container = Container::pull(&registry);
    let volume = registry.dir.path().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(registry.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let file = volume.join("plugin.wasm");
    let copy = || container.command(&["copy-filter", file.to_str().unwrap()], &[], &[&volume]);
    let refused = copy().output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "the volume belongs to another user");
    fs::set_permissions(&volume, Permissions::from_mode(0o777)).unwrap();
    succeeds(&mut copy());
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o644);
    let module = fs::read(dist(&format!("pushring_filter-{VERSION}.wasm"))).unwrap();
    assert!(fs::read(&file).unwrap() == module);
    assert_eq!(fs::read_dir(&volume).unwrap().count(), 1);
}

/// With the filter of the other image.
#[test]
fn keeps_the_members_of_an_envoy_and_ends_on_a_signal() {
    let registry = Registry::with_images();
    let container = Container::pull(&registry);
    // As a volume in memory.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::set_permissions(memory.path(), Permissions::from_mode(0o755)).unwrap();
    let layout = Layout::create(&memory.path().join("pushring"), Mode::Endpoint, Ports::default()).unwrap();
    Templates::install(&layout, &[]).unwrap();
    let filter = registry.dir.path().join("filter");
    registry.unpack("pushring-filter", PLATFORM, &filter);
    fs::copy(filter.join("plugin.wasm"), layout.dir().join("pushring_filter.wasm")).unwrap();
    fs::set_permissions(layout.live(), Permissions::from_mode(0o777)).unwrap();

    let gateways = [(); 3].map(|()| Pushgateway::start(registry.dir.path(), &[]).unwrap());
    let names = gateways.each_ref().map(|gateway| gateway.address.to_string());
    let names = names.each_ref().map(String::as_str);
    let source = layout.dir().join("source");
    fs::create_dir(&source).unwrap();
    let file = source.join("gateways.json");
    let write = |names: &[&str]| fs::write(&file, json!(names).to_string()).unwrap();
    write(&names[..2]);
    let live = layout.live();
    let settings = layout.dir().join("consul-template/settings.yaml");
    let discover = |more: &[&str]| -> Command {
        let [file, live, settings] = [&file, &live, &settings].map(|path| path.to_str().unwrap());
        let flags = ["discover", "--from", "file", "--file", file, "--live", live, "--settings", settings];
        container.command(&[&flags, more].concat(), &[source.as_path(), settings.as_ref()], &[live.as_ref()])
    };
    succeeds(&mut discover(&["--once"]));
    assert_ne!(fs::metadata(live.join("ring.yaml")).unwrap().uid(), rustix::process::geteuid().as_raw());

    let envoy = Envoy::start(&layout, 1).unwrap();
    let admin = format!("http://{}", envoy.admin);
    let more = ["--admin", &admin, "--listen", "127.0.0.1:0", "--delay", "0s"];
    let mut process = Process::start("discover", discover(&more), registry.dir.path()).unwrap();
    let load = Load::start(envoy.push, 2);
    write(&names);
    envoy.wait_members(&names).unwrap_or_else(|error| panic!("{error:#}\n{}", process.log()));
    load.stop().assert_none_failed();
    assert_eq!(process.stop(Signal::TERM).unwrap().code(), Some(0), "{}", process.log());
}
