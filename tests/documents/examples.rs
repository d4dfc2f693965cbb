//! The commands of the examples, with the shipped live files, but without containers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use pushring_harness::{Mode, Process, Pushgateway, command, machine, process, tools};

use crate::installation::{Installation, copy_of_repository, wait_answer};
use crate::walk::Walk;

#[test]
fn cluster() {
    machine::isolated("examples::cluster", || {
        let _servers = Servers::start(Mode::Cluster);
        document(Mode::Cluster).rest().finish();
    });
}

#[test]
fn endpoint() {
    machine::isolated("examples::endpoint", || {
        let mut servers = Servers::start(Mode::Endpoint);
        let mut walk = document(Mode::Endpoint);
        walk.next("Mode endpoint");
        servers.gateways[1].process.kill();
        walk.rest().finish();
    });
}

#[test]
fn replicas() {
    machine::isolated("examples::replicas", || {
        let mut servers = Servers::start(Mode::Endpoint);
        let mut walk = Walk::of("examples/replicas/README.md", &tools::repository());
        walk.section("Replicas");
        servers.gateways[1].process.kill();
        walk.rest().finish();
    });
}

#[test]
fn redirect() {
    machine::isolated("examples::redirect", || {
        let _servers = Servers::start(Mode::Redirect);
        document(Mode::Redirect).rest().finish();
    });
}

#[test]
fn security() {
    machine::isolated("examples::security", || {
        let repository = copy_of_repository();
        install(Mode::Cluster);
        Walk::of("docs/security.md", &repository).rest().finish();
    });
}

#[test]
fn security_patches() {
    machine::isolated("examples::security_patches", || {
        let repository = copy_of_repository();
        install(Mode::Cluster);
        Walk::of("examples/security/README.md", &repository.join("examples/security")).rest().finish();
    });
}

#[test]
fn observability() {
    machine::isolated("examples::observability", || {
        let repository = copy_of_repository();
        install(Mode::Cluster);
        Walk::of("examples/observability/README.md", &repository.join("examples/observability"))
            .rest()
            .finish();
        install(Mode::Cluster);
        Walk::of("docs/observability.md", &repository).rest().finish();
    });
}

fn document(mode: Mode) -> Walk {
    Walk::of(&format!("examples/{mode}/README.md"), &tools::repository())
}

/// The services of a docker-compose.yaml.
struct Servers {
    _envoy: Process,
    _serve: Process,
    gateways: Vec<Pushgateway>,
    _dir: tempfile::TempDir,
}

impl Servers {
    fn start(mode: Mode) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let start =
            |port| Pushgateway::start_at(dir.path(), SocketAddr::from(([127, 0, 0, 1], port)), &[]).unwrap();
        let gateways = [19_091, 19_092, 19_093].map(start).into();
        install(mode);
        let mut command = process::command(&tools::find("envoy").unwrap());
        command.arg("--config-path").arg(format!("/etc/pushring/{mode}.yaml"));
        let envoy = Process::start("envoy", command, dir.path()).unwrap();
        wait_answer("127.0.0.1:9091", "/-/ready");
        let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
        command.args(["serve", "--config", "/etc/pushring/live/ring.yaml"]);
        let serve = Process::start("serve", command, dir.path()).unwrap();
        Self { _envoy: envoy, _serve: serve, gateways, _dir: dir }
    }
}

/// Installs the files of an ingress machine, and the shipped live files of a mode.
fn install(mode: Mode) {
    Installation::install_files();
    for entry in fs::read_dir(tools::repository().join(format!("envoy/live/{mode}"))).unwrap() {
        let file = entry.unwrap();
        fs::copy(file.path(), Path::new("/etc/pushring/live").join(file.file_name())).unwrap();
    }
}
