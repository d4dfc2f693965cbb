//! `pushring publish` with a real Envoy: no push is lost, whoever joins or leaves and whenever publish is killed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use pushring::publish::{Options, publish};
use pushring_harness::load::while_pushing;
use pushring_harness::process::{self, Process};
use pushring_harness::{Envoy, Layout, Member, Mode, Ports, Pushgateway, live, poll_until, tools};
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
        stage(&layout, &members(&gateways));
        publish(&options(&layout, None)).unwrap();
        let envoy = Envoy::start(&layout, workers).unwrap();
        Self { envoy, layout, gateways, _dir: dir }
    }
}

fn members(gateways: &[Pushgateway]) -> Vec<Member> {
    gateways.iter().map(|gateway| gateway.address.into()).collect()
}

/// Stages these members and no other clusters: each joins as already passing, and leaves while still passing.
fn stage(layout: &Layout, members: &[Member]) {
    let dir = layout.live().parent().unwrap().to_str().unwrap().to_owned();
    let json = live::config(Mode::Cluster, members).unwrap().to_string();
    let ring = live::ring(Mode::Cluster, &json).unwrap().replace("/etc/pushring", &dir);
    std::fs::write(layout.staged().join("ring.yaml"), ring).unwrap();
    let clusters = live::upstreams(Mode::Cluster, members).unwrap().unwrap();
    std::fs::write(layout.staged().join("clusters.yaml"), clusters).unwrap();
}

fn options(layout: &Layout, admin: Option<&str>) -> Options {
    Options {
        staged: layout.staged(),
        live: layout.live(),
        admin: admin.map(|admin| admin.parse().unwrap()),
        grace: Duration::from_secs(2),
        delay: Duration::from_millis(500),
        timeout: Duration::from_secs(30),
    }
}

/// Everything that can go wrong at once: two workers, members that join as passing and leave as passing, and every
/// other publication killed somewhere on its way.
#[test]
fn no_push_fails_while_publish_is_killed_again_and_again() {
    let setup = Setup::start(4, 2);
    let admin = format!("http://{}", setup.envoy.admin);
    let pushed = while_pushing(setup.envoy.push, 2, || change_members(&setup, &admin)).unwrap();
    assert!(pushed.iter().all(|count| *count > 100), "too few pushes to prove anything: {pushed:?}");
}

fn change_members(setup: &Setup, admin: &str) {
    let all = members(&setup.gateways);
    for change in 1..=40 {
        let chosen: Vec<Member> = (0..=change % 3).map(|n| all[(change + n) % all.len()].clone()).collect();
        stage(&setup.layout, &chosen);
        if change % 2 == 0 {
            let mut child = publish_command(&setup.layout, admin).spawn().unwrap();
            // Not a wait: a kill that falls somewhere else each time.
            thread::sleep(Duration::from_millis(change as u64 % 20));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let status = publish_command(&setup.layout, admin).status().unwrap();
        assert!(status.success());
        let names: Vec<&str> = chosen.iter().map(|member| member.name.as_str()).collect();
        setup.envoy.wait_members(&names).unwrap();
    }
}

/// A short grace time, so that clusters are dropped under load, too.
fn publish_command(layout: &Layout, admin: &str) -> Command {
    let mut command = Command::new(tools::pushring().unwrap());
    command.arg("publish").arg("--staged").arg(layout.staged()).arg("--live").arg(layout.live());
    command.args(["--admin", admin, "--grace", "300"]).stdout(Stdio::null());
    command
}

/// Envoy refuses the cluster file: the ring must not follow.
#[test]
fn the_ring_waits_for_clusters_that_envoy_does_not_take() {
    let setup = Setup::start(2, 1);
    let [one, two] = members(&setup.gateways).try_into().unwrap();
    let names = [one.name.clone(), two.name.clone()];
    let three: Member = SocketAddr::from(([127, 0, 0, 1], 1)).into();
    stage(&setup.layout, &[one, two, three]);
    let path = setup.layout.staged().join("clusters.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, good.replace("connect_timeout: 1s", "connect_timeout: -1s")).unwrap();
    let admin = format!("http://{}", setup.envoy.admin);
    let mut options = options(&setup.layout, Some(&admin));
    options.timeout = Duration::from_millis(300);
    let error = publish(&options).unwrap_err().to_string();
    assert!(error.contains("Envoy does not list pushgateway-127.0.0.1:1 after 300 ms"), "{error}");
    setup.envoy.wait_members(&[&names[0], &names[1]]).unwrap();

    // Once mended it goes through, although the name of the cluster is in the live file already.
    std::fs::write(&path, good).unwrap();
    options.timeout = Duration::from_secs(30);
    assert_eq!(publish(&options).unwrap().moved, ["clusters.yaml", "ring.yaml"]);
    setup.envoy.wait_members(&[&names[0], &names[1], "127.0.0.1:1"]).unwrap();
}

#[test]
fn the_admin_interface_on_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(&dir.path().join("pushring"), Mode::Cluster, Ports::default()).unwrap();
    let one: Member = SocketAddr::from(([127, 0, 0, 1], 1)).into();
    let two: Member = SocketAddr::from(([127, 0, 0, 1], 2)).into();
    stage(&layout, std::slice::from_ref(&one));
    publish(&options(&layout, None)).unwrap();

    let socket = dir.path().join("admin.sock");
    let text = std::fs::read_to_string(layout.bootstrap()).unwrap();
    let (head, tail) =
        text.split_once("  address: { socket_address: { address: 127.0.0.1, port_value: 0 } }").unwrap();
    assert!(head.trim_end().contains("admin:"), "the first address of the bootstrap is not the admin's");
    let text = format!("{head}  address: {{ pipe: {{ path: {} }} }}{tail}", socket.display());
    std::fs::write(layout.bootstrap(), text).unwrap();
    let _envoy = start_envoy(&layout, &socket);

    stage(&layout, &[one, two]);
    let admin = format!("unix:{}", socket.display());
    let report = publish(&options(&layout, Some(&admin))).unwrap();
    assert_eq!((report.moved.len(), report.warnings.len()), (2, 0), "{:?}", report.warnings);
}

/// The library's Envoy reads the admin's TCP address, of which there is none here.
fn start_envoy(layout: &Layout, socket: &Path) -> Process {
    let mut command = process::command(&tools::find("envoy").unwrap());
    command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--config-path"]);
    command.arg(layout.bootstrap());
    let mut envoy = Process::start("envoy", command, layout.live().parent().unwrap()).unwrap();
    envoy.wait_until("an admin socket", |_| socket.exists().then_some(())).unwrap();
    envoy
}

/// Envoy is not there: nothing to ask, so a fixed time, and a warning. Its next start reads the files as they are.
#[test]
fn no_envoy_at_the_admin_address() {
    let mut setup = Setup::start(2, 1);
    let admin = format!("http://{}", setup.envoy.admin);
    setup.envoy.process.kill();
    stage(&setup.layout, &members(&setup.gateways)[..1]);
    let report = publish(&options(&setup.layout, Some(&admin))).unwrap();
    assert!(report.warnings[0].contains("no Envoy at the admin address"), "{:?}", report.warnings);
    assert_eq!((report.moved.as_slice(), report.kept.len()), (["ring.yaml"].as_slice(), 1));
    let envoy = Envoy::start(&setup.layout, 1).unwrap();
    envoy.wait_members(&[&setup.gateways[0].address.to_string()]).unwrap();
    let client = envoy.client().unwrap();
    poll_until("a push", || (client.put("/metrics/job/a", "x 1\n").ok()?.status == 200).then_some(()))
        .unwrap();
}
