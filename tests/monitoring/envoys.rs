//! The two ingress machines, each with an Envoy and with `pushring discover` that renders its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pushring_harness::http::Client;
use pushring_harness::{Mode, Process, command, machine, poll_until, process, tools};

use crate::fleet::ETCD;

/// A machine with an Envoy.
pub(crate) struct Ingress {
    pub(crate) envoy: Process,
    pub(crate) discover: Process,
    /// The address of the machine.
    pub(crate) address: &'static str,
    /// The folder of Envoy's files.
    pub(crate) folder: PathBuf,
    machine: Option<&'static str>,
    mode: Mode,
    logs: PathBuf,
}

impl Ingress {
    /// Publishes the ring once, then starts Envoy and `discover`. The machine is this one, or one of the network.
    pub(crate) fn start(
        machine: Option<&'static str>,
        address: &'static str,
        folder: &str,
        mode: Mode,
        logs: &Path,
    ) -> Self {
        let folder = PathBuf::from(folder);
        install(&folder, mode);
        let once = discover(machine, &folder).arg("--once").output().unwrap();
        assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));
        let envoy = envoy(machine, address, &folder, mode, logs);
        let discover = follow(machine, address, &folder, logs);
        Self { envoy, discover, address, folder, machine, mode, logs: logs.to_owned() }
    }

    pub(crate) fn restart_envoy(&mut self) {
        self.envoy.kill();
        self.envoy = envoy(self.machine, self.address, &self.folder, self.mode, &self.logs);
    }

    pub(crate) fn restart_discover(&mut self) {
        self.discover.kill();
        self.discover = follow(self.machine, self.address, &self.folder, &self.logs);
    }

    /// Returns the text of a live file.
    pub(crate) fn live(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join("live").join(file)).unwrap()
    }

    /// Replaces a live file as a whole, as Envoy needs it.
    pub(crate) fn write_live(&self, file: &str, text: &str) {
        let new = self.folder.join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.folder.join("live").join(file)).unwrap();
    }

    /// Returns the number of members of Envoy's ring.
    pub(crate) fn members(&self) -> Option<usize> {
        let status = self.client().get("/-/pushring").ok()?.json().ok()?;
        Some(status["members"].as_array()?.len())
    }

    pub(crate) fn wait_members(&self, count: usize) {
        poll_until(&format!("{count} members at {}", self.address), || {
            (self.members()? == count).then_some(())
        })
        .unwrap();
    }

    /// Returns a client of the listener for pushes.
    pub(crate) fn client(&self) -> Client {
        Client::new(format!("{}:9091", self.address).parse().unwrap()).unwrap()
    }
}

/// Copies the shipped files to the folder that stands for /etc/pushring.
fn install(folder: &Path, mode: Mode) {
    fs::create_dir_all(folder.join("live")).unwrap();
    fs::copy(tools::wasm().unwrap(), folder.join("pushring_filter.wasm")).unwrap();
    let shipped = |file: &str| fs::read_to_string(tools::repository().join(file)).unwrap();
    let bootstrap = shipped(&format!("envoy/{mode}.yaml")).replace("/etc/pushring", folder.to_str().unwrap());
    fs::write(folder.join(format!("{mode}.yaml")), bootstrap).unwrap();
    let settings =
        shipped("consul-template/settings.yaml").replace("mode: cluster", &format!("mode: {mode}"));
    fs::write(folder.join("settings.yaml"), settings).unwrap();
}

fn on(machine: Option<&str>, program: &Path) -> Command {
    machine.map_or_else(|| process::command(program), |name| machine::on(name, program))
}

fn envoy(machine: Option<&str>, address: &str, folder: &Path, mode: Mode, logs: &Path) -> Process {
    let mut command = on(machine, &tools::find("envoy").unwrap());
    command.arg("--config-path").arg(folder.join(format!("{mode}.yaml")));
    command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]);
    let mut process = Process::start(&format!("envoy-{address}"), command, logs).unwrap();
    let client = Client::new(format!("{address}:9091").parse().unwrap()).unwrap();
    process.wait_until("answers", |_| client.get("/-/healthy").ok()).unwrap();
    process
}

fn discover(machine: Option<&str>, folder: &Path) -> Command {
    let mut command = command::prepare(on(machine, &tools::pushring().unwrap()));
    command.args(["discover", "--from", "etcd", "--etcd", &format!("http://{ETCD}")]);
    command.args(["--admin", "http://127.0.0.1:9901"]).arg("--settings").arg(folder.join("settings.yaml"));
    command.arg("--live").arg(folder.join("live"));
    command
}

fn follow(machine: Option<&str>, address: &str, folder: &Path, logs: &Path) -> Process {
    let mut command = discover(machine, folder);
    command.arg("--listen").arg(format!("{address}:9088"));
    command.arg("--file-sd").arg(folder.join("pushgateways.json"));
    Process::start(&format!("discover-{address}"), command, logs).unwrap()
}
