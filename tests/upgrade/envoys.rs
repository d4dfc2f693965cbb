//! Envoy 1.36.4 replaced by 1.40.0 and back: behind a load balancer that checks health, and by a hot restart.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use pushring_harness::http::{self, Client};
use pushring_harness::load::Load;
use pushring_harness::{
    Envoy, Layout, Mode, Ports, Process, Pushgateway, envoy_files, haproxy, machine, poll_until, process,
    tools,
};
use rustix::process::Signal;

/// As in the unit.
const DRAIN: [&str; 4] = ["--drain-time-s", "5", "--drain-strategy", "immediate"];

#[test]
fn a_load_balancer_and_two_envoys() {
    machine::isolated("envoys::a_load_balancer_and_two_envoys", balanced);
}

#[test]
fn a_hot_restart() {
    let steps = [(Mode::Cluster, old()), (Mode::Cluster, new()), (Mode::Cluster, old())];
    machine::isolated("envoys::a_hot_restart", || hot_restart(steps));
}

#[test]
fn a_hot_restart_changes_the_mode() {
    let steps = [(Mode::Cluster, new()), (Mode::Endpoint, new()), (Mode::Cluster, new())];
    machine::isolated("envoys::a_hot_restart_changes_the_mode", || hot_restart(steps));
}

/// `make e2e-upgrade` names it.
fn old() -> PathBuf {
    tools::find("envoy").unwrap()
}

fn new() -> PathBuf {
    tools::repository().join("target/tools/bin/envoy")
}

fn gateways(dir: &Path) -> Vec<Pushgateway> {
    (0..3).map(|_| Pushgateway::start(dir, &[]).unwrap()).collect()
}

fn layout(dir: &Path, mode: Mode, gateways: &[Pushgateway], number: u16) -> Layout {
    let ports =
        Ports { push: 9000 + number, operator: 9100 + number, admin: 9200 + number, metrics: 9300 + number };
    let layout = Layout::create(dir, mode, ports).unwrap();
    let members: Vec<_> = gateways.iter().map(|gateway| gateway.address.into()).collect();
    layout.publish(&envoy_files::config(mode, &members).unwrap(), None).unwrap();
    layout
}

fn balanced() {
    let dir = tempfile::tempdir().unwrap();
    let gateways = gateways(dir.path());
    let layouts =
        [1, 2].map(|number| layout(&dir.path().join(number.to_string()), Mode::Cluster, &gateways, number));
    let start = |layout: &Layout, binary: &Path| {
        let mut command = process::command(binary);
        command.args(DRAIN);
        Envoy::run(command, &layout.bootstrap(), layout.dir(), 2).unwrap()
    };
    let mut envoys = layouts.each_ref().map(|layout| start(layout, &old()));
    let digest = envoys[0].status().unwrap()["digest"].clone();
    let (_balancer, address) = balancer(dir.path(), &envoys);
    let balancer = Client::new(address).unwrap();
    let wait_up = || {
        for name in ["one", "two"] {
            poll_until("the health check", || {
                let text = balancer.get("/haproxy?stats;csv").ok()?.text();
                let line = text.lines().find(|line| line.starts_with(&format!("envoys,{name},")))?.to_owned();
                line.contains(",UP,").then_some(())
            })
            .unwrap();
        }
    };
    wait_up();
    let load = Load::paced(address, 2, Duration::from_millis(2));
    let strangers = Strangers::start(address);
    for binary in [new(), old()] {
        for (envoy, layout) in envoys.iter_mut().zip(&layouts) {
            let stop = exec_stop(envoy.admin);
            let stopped = Command::new("sh").args(["-c", &stop]).status().unwrap();
            assert!(stopped.success(), "{stop}");
            envoy.process.stop(Signal::TERM).unwrap();
            *envoy = start(layout, &binary);
            wait_up();
            assert_eq!(envoy.status().unwrap()["digest"], digest);
        }
    }
    strangers.stop();
    load.stop().assert_none_failed();
    assert_each_once(&gateways);
}

/// Returns the script in `ExecStop` of the unit, for an Envoy with this admin interface.
fn exec_stop(admin: SocketAddr) -> String {
    let unit = fs::read_to_string(tools::repository().join("deploy/systemd/pushring-envoy.service")).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStop=-/bin/sh -c '")).unwrap();
    let script = line.strip_suffix('\'').unwrap().replace("$$", "$");
    assert!(script.contains("http://127.0.0.1:9901"), "{script}");
    script.replace("127.0.0.1:9901", &admin.to_string())
}

fn balancer(dir: &Path, envoys: &[Envoy; 2]) -> (Process, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], 8080));
    let [one, two] = envoys
        .each_ref()
        .map(|envoy| format!("127.0.0.1:{} check port {}", envoy.push.port(), envoy.metrics.unwrap().port()));
    let backends = format!(
        "backend envoys
  option httpchk GET /-/ready
  default-server inter 500ms fall 2 rise 1
  server one {one}
  server two {two}
"
    );
    (haproxy::start(dir, address, "envoys", &backends).unwrap(), address)
}

/// Starts Envoys that take over one from another, each with a mode and a program.
fn hot_restart(steps: [(Mode, PathBuf); 3]) {
    let dir = tempfile::tempdir().unwrap();
    let gateways = gateways(dir.path());
    let (push, admin) = (SocketAddr::from(([127, 0, 0, 1], 9001)), SocketAddr::from(([127, 0, 0, 1], 9201)));
    let [(mode, binary), next @ ..] = steps;
    let mut running = start_epoch(&layout(&dir.path().join("0"), mode, &gateways, 1), &binary, 0);
    let status = || {
        let client = Client::new(push).unwrap();
        poll_until("the ring", || client.get("/-/pushring").ok()?.json().ok()).unwrap()
    };
    let digest = status()["digest"].clone();
    let load = Load::paced(push, 2, Duration::from_millis(2));
    let strangers = Strangers::start(push);
    for (epoch, (mode, binary)) in (1..).zip(next) {
        let layout = layout(&dir.path().join(epoch.to_string()), mode, &gateways, 1);
        let next = start_epoch(&layout, &binary, epoch);
        poll_until("the old Envoy to end", || running.ended()).unwrap();
        running = next;
        let version = Command::new(&binary).arg("--version").output().unwrap();
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        let info = Client::new(admin).unwrap().get("/server_info").unwrap().json().unwrap();
        assert!(version.contains(info["version"].as_str().unwrap()), "{version}: {info}");
        assert_eq!(status()["mode"], mode.to_string());
        assert_eq!(status()["digest"], digest);
    }
    strangers.stop();
    load.stop().assert_none_failed();
    assert_each_once(&gateways);
}

/// Starts an Envoy that takes over the sockets of the one before it.
fn start_epoch(layout: &Layout, binary: &Path, epoch: u32) -> Process {
    let mut command = process::command(binary);
    command.arg("--config-path").arg(layout.bootstrap()).args(DRAIN).args(["--concurrency", "2"]);
    command.args(["--parent-shutdown-time-s", "10", "--log-level", "warning"]);
    // Other Envoys share the memory of the number 0.
    command.args(["--base-id", "4711", "--restart-epoch", &epoch.to_string()]);
    let mut process = Process::start(&format!("epoch-{epoch}"), command, layout.dir()).unwrap();
    let client = Client::new(SocketAddr::from(([127, 0, 0, 1], 9201))).unwrap();
    let ready = |_: &Process| {
        let info = client.get("/server_info").ok()?.json().ok()?;
        let epoch_of = &info["command_line_options"]["restart_epoch"];
        (*epoch_of == epoch && info["state"] == "LIVE").then_some(())
    };
    process.wait_until("ready", ready).unwrap();
    process
}

/// Clients that push over a new connection each time: one that an Envoy has not accepted when it ends would be lost.
struct Strangers {
    stop: Arc<AtomicBool>,
    pushes: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<Vec<String>>>,
}

impl Strangers {
    fn start(server: SocketAddr) -> Self {
        let (stop, pushes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |number| {
            let (stop, pushes) = (Arc::clone(&stop), Arc::clone(&pushes));
            thread::spawn(move || {
                let mut lost = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let group = pushes.fetch_add(1, Ordering::Relaxed) % 50;
                    let request = format!(
                        "PUT /metrics/job/strangers/n/{number}-{group} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                         Content-Length: 4\r\n\r\nm 1\n"
                    );
                    match http::raw(server, request.as_bytes()) {
                        Ok(answer) if answer.starts_with(b"HTTP/1.1 200") => {}
                        Ok(answer) => lost.push(String::from_utf8_lossy(&answer).into_owned()),
                        Err(error) => lost.push(format!("{error:#}")),
                    }
                }
                lost
            })
        };
        let clients = (0..3).map(client).collect();
        Self { stop, pushes, clients }
    }

    #[track_caller]
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let lost: Vec<String> = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        let pushes = self.pushes.load(Ordering::Relaxed);
        println!("{pushes} pushes over new connections, {} lost", lost.len());
        assert!(pushes > 1000 && lost.is_empty(), "lost {} of {pushes}: {lost:#?}", lost.len());
    }
}

/// Fails if two gateways store the same group: no push went anywhere but to one owner.
#[track_caller]
fn assert_each_once(gateways: &[Pushgateway]) {
    let mut all: Vec<_> = gateways.iter().flat_map(|gateway| gateway.groups().unwrap()).collect();
    let stored = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), stored);
}
