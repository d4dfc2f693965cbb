//! `pushring publish` with a real Envoy: no push is lost when members join or leave, wherever publish is killed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pushring::command::publish::{Options, Report, publish};
use pushring::fleet::members::Members;
use pushring_harness::load::Load;
use pushring_harness::process::{self, Process};
use pushring_harness::{Envoy, Layout, Mode, Ports, Pushgateway, envoy_files, poll_until, tools};
use serde_json::json;
use tempfile::TempDir;

struct Setup {
    envoy: Envoy,
    layout: Layout,
    gateways: Vec<Pushgateway>,
    _dir: TempDir,
}

impl Setup {
    fn start(gateways: usize, workers: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateways: Vec<_> = (0..gateways).map(|_| Pushgateway::start(dir.path(), &[]).unwrap()).collect();
        let layout = Layout::create(&dir.path().join("pushring"), Mode::Cluster, Ports::default()).unwrap();
        publish(&members(&addresses(&gateways)), &layout.publish_options(None).unwrap()).unwrap();
        let envoy = Envoy::start(&layout, workers).unwrap();
        Self { envoy, layout, gateways, _dir: dir }
    }

    fn options(&self) -> Options {
        self.layout.publish_options(Some(&format!("http://{}", self.envoy.admin))).unwrap()
    }
}

fn addresses(gateways: &[Pushgateway]) -> Vec<SocketAddr> {
    gateways.iter().map(|gateway| gateway.address).collect()
}

/// These members and no other clusters: each joins as already passing, and leaves while still passing.
fn members(addresses: &[SocketAddr]) -> Members {
    let members: Vec<_> = addresses.iter().map(|&address| address.into()).collect();
    Members::from_config(&envoy_files::config(Mode::Cluster, &members).unwrap().to_string()).unwrap()
}

/// Everything that can go wrong at once: two workers, members that join as passing and leave as passing, and publications
/// killed at every point on their way.
#[test]
fn no_push_fails_while_publish_is_killed_again_and_again() {
    let setup = Setup::start(4, 2);
    let load = Load::start(setup.envoy.push, 2);
    change_members(&setup);
    let seen = load.stop();
    seen.assert_none_failed();
    assert!(seen.pushes > 200, "{} pushes prove nothing", seen.pushes);
}

fn change_members(setup: &Setup) {
    let points = [None, Some("locked"), Some("moved-clusters.yaml"), Some("listed"), Some("moved-ring.yaml")];
    let all = addresses(&setup.gateways);
    for change in 1..=40 {
        let chosen: Vec<SocketAddr> = (0..=change % 3).map(|n| all[(change + n) % all.len()]).collect();
        register(&setup.layout, &chosen);
        if let Some(point) = points[change % points.len()] {
            kill_at(point, setup);
        }
        assert!(publish_command(setup).status().unwrap().success());
        let names: Vec<String> = chosen.iter().map(SocketAddr::to_string).collect();
        setup.envoy.wait_members(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    }
}

fn register(layout: &Layout, members: &[SocketAddr]) {
    let registration = |address: &SocketAddr| json!({"address": address.ip(), "port": address.port()});
    let all: Vec<_> = members.iter().map(registration).collect();
    std::fs::write(file(layout, "registrations.json"), json!({ "registrations": all }).to_string()).unwrap();
    let mut filter = envoy_files::config(Mode::Cluster, &[]).unwrap();
    filter.as_object_mut().unwrap().remove("members");
    std::fs::write(file(layout, "settings.yaml"), json!({ "filter": filter }).to_string()).unwrap();
}

fn file(layout: &Layout, name: &str) -> std::path::PathBuf {
    layout.live().with_file_name(name)
}

/// Kills a publication at a named point, or lets it end if it does not reach that point because nothing is left to
/// move.
fn kill_at(point: &str, setup: &Setup) {
    let paused = setup.layout.live().join(".publish/paused");
    let mut child = publish_command(setup).env("PUSHRING_PAUSE_AT", point).spawn().unwrap();
    poll_until("publish to pause or to end", || {
        (paused.exists() || child.try_wait().unwrap().is_some()).then_some(())
    })
    .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = std::fs::remove_file(paused);
}

/// A short grace time, so that clusters are dropped under load, too.
fn publish_command(setup: &Setup) -> Command {
    let mut command = Command::new(tools::pushring().unwrap());
    command.arg("publish").arg("--registrations").arg(file(&setup.layout, "registrations.json"));
    command.arg("--settings").arg(file(&setup.layout, "settings.yaml"));
    command
        .arg("--live")
        .arg(setup.layout.live())
        .args(["--admin", &format!("http://{}", setup.envoy.admin)]);
    command.args(["--grace", "300ms"]).stdout(Stdio::null());
    command
}

/// Envoy rejects the cluster file: the ring must not follow.
#[test]
fn the_ring_waits_for_clusters_that_envoy_does_not_add() {
    let setup = Setup::start(2, 1);
    let mut all = addresses(&setup.gateways);
    all.push(([127, 0, 0, 1], 1).into());
    let good = members(&all);
    let mut bad = good.clone();
    for cluster in &mut bad.clusters {
        cluster.endpoint.host.clear();
    }
    let mut options = setup.options();
    options.timeout = Duration::from_millis(300);
    let error = publish(&bad, &options).unwrap_err().to_string();
    assert!(error.contains("Envoy does not list pushgateway-127.0.0.1:1 after 300 ms"), "{error}");
    let names: Vec<String> = all.iter().map(SocketAddr::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    setup.envoy.wait_members(&names[..2]).unwrap();

    // Once repaired it succeeds, although the name of the cluster is in the live file already.
    options.timeout = Duration::from_secs(30);
    assert_eq!(publish(&good, &options).unwrap().moved, ["clusters.yaml", "ring.yaml"]);
    setup.envoy.wait_members(&names).unwrap();
}

#[test]
fn the_admin_interface_on_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(&dir.path().join("pushring"), Mode::Cluster, Ports::default()).unwrap();
    let [one, two] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let publish = |all: &[SocketAddr], admin: Option<&str>| -> Report {
        publish(&members(all), &layout.publish_options(admin).unwrap()).unwrap()
    };
    publish(&[one], None);

    let socket = dir.path().join("admin.sock");
    let text = std::fs::read_to_string(layout.bootstrap()).unwrap();
    let admin = text
        .lines()
        .skip_while(|line| *line != "admin:")
        .find(|line| line.starts_with("  address:"))
        .unwrap();
    let text = text.replacen(admin, &format!("  address: {{ pipe: {{ path: {} }} }}", socket.display()), 1);
    std::fs::write(layout.bootstrap(), text).unwrap();
    let _envoy = start_envoy(&layout, &socket);

    let report = publish(&[one, two], Some(&format!("unix:{}", socket.display())));
    assert_eq!((report.moved.len(), report.warnings.len()), (2, 0), "{:?}", report.warnings);
}

/// [`Envoy`] needs the admin's TCP address; here the admin interface has none.
fn start_envoy(layout: &Layout, socket: &Path) -> Process {
    let mut command = process::command(&tools::find("envoy").unwrap());
    command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--config-path"]);
    command.arg(layout.bootstrap());
    let mut envoy = Process::start("envoy", command, layout.live().parent().unwrap()).unwrap();
    envoy.wait_until("an admin socket", |_| socket.exists().then_some(())).unwrap();
    envoy
}

/// Without an Envoy to ask, publish waits a fixed time and warns. The next start of Envoy reads the files as they are.
#[test]
fn no_envoy_at_the_admin_address() {
    let mut setup = Setup::start(2, 1);
    let options = setup.options();
    setup.envoy.process.kill();
    let first = setup.gateways[0].address;
    let report = publish(&members(&[first]), &options).unwrap();
    assert!(report.warnings[0].contains("no Envoy at the admin address"), "{:?}", report.warnings);
    assert_eq!((report.moved.as_slice(), report.kept.len()), (["ring.yaml"].as_slice(), 1));
    let envoy = Envoy::start(&setup.layout, 1).unwrap();
    envoy.wait_members(&[&first.to_string()]).unwrap();
    let client = envoy.client().unwrap();
    poll_until("a push", || (client.put("/metrics/job/a", "x 1\n").ok()?.status == 200).then_some(()))
        .unwrap();
}
