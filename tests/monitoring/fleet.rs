//! The servers: etcd, gateways with their agents, two ingress machines, and a sweeper. This machine is 10.0.1.1, the first
//! ingress; the second is 10.0.1.2, the gateways are 10.0.0.1:9091 and so on.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pushring_harness::{Mode, Process, Pushgateway, command, machine, poll_until, process, tools};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::alerts::Alerts;
use crate::envoys::Ingress;
use crate::load::Load;
use crate::observers::Observers;

pub(crate) const ETCD: &str = "10.0.1.1:2379";
/// Not at the port of the shipped files, at which Alertmanager is.
const SERVE: &str = "10.0.1.1:9094";
/// The machine of all gateways.
const GATEWAYS: &str = "gateways";

/// Ends all servers when dropped.
pub(crate) struct Fleet {
    /// `None` while nothing but the faults of a test pushes.
    pub(crate) load: Option<Load>,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) ingress: [Ingress; 2],
    pub(crate) sweeper: Process,
    pub(crate) etcd: Process,
    pub(crate) alerts: Alerts,
    pub(crate) observers: Observers,
    /// `pushring serve`, of which most tests need nothing.
    serve: Option<Process>,
    dir: TempDir,
}

/// A gateway with its agent.
pub(crate) struct Gateway {
    pub(crate) server: Pushgateway,
    pub(crate) agent: Process,
    last: u8,
    logs: PathBuf,
}

impl Gateway {
    fn start(last: u8, logs: &Path) -> Self {
        let server = server(last, logs, None);
        let agent = agent(last, logs);
        Self { server, agent, last, logs: logs.to_owned() }
    }

    /// Returns its address.
    pub(crate) fn address(&self) -> String {
        self.server.address.to_string()
    }

    /// Starts it again, empty.
    pub(crate) fn restart(&mut self) {
        self.server.process.kill();
        self.server = server(self.last, &self.logs, None);
    }

    /// Starts it again, empty, with one CPU.
    pub(crate) fn restart_with_one_cpu(&mut self) {
        self.server.process.kill();
        self.server = server(self.last, &self.logs, Some("1"));
    }

    pub(crate) fn restart_agent(&mut self) {
        self.agent.kill();
        self.agent = agent(self.last, &self.logs);
    }

    /// Ends the agent, which says that its gateway leaves, and then the gateway.
    pub(crate) fn leave(mut self) {
        assert_eq!(self.agent.stop(Signal::TERM).unwrap().code(), Some(0), "{}", self.agent.log());
        self.server.process.kill();
    }
}

fn server(last: u8, logs: &Path, cpus: Option<&str>) -> Pushgateway {
    let mut command = machine::on(GATEWAYS, &tools::find("pushgateway").unwrap());
    if let Some(cpus) = cpus {
        command.env("GOMAXPROCS", cpus);
    }
    Pushgateway::run(command, logs, SocketAddr::from(([10, 0, 0, last], 9091)), &[]).unwrap()
}

/// The check needs 24 seconds to turn critical, in which the gateway is down and still on the ring.
fn agent(last: u8, logs: &Path) -> Process {
    let mut command = command::prepare(machine::on(GATEWAYS, &tools::pushring().unwrap()));
    command.args(["register", "--stay", "--etcd", &format!("http://{ETCD}"), "--lease", "6s"]);
    command.args([
        "--interval",
        "500ms",
        "--failures-before-critical",
        "48",
        "--success-before-passing",
        "1",
    ]);
    command.arg("--listen").arg(format!("10.0.0.{last}:9087")).arg(format!("10.0.0.{last}:9091"));
    Process::start(&format!("agent-{last}"), command, logs).unwrap()
}

impl Fleet {
    /// Starts everything; durations of the shipped files of monitoring/ are divided by `factor`.
    pub(crate) fn start(mode: Mode, factor: u64) -> Self {
        let addresses: Vec<String> = (1..10).map(|last| format!("10.0.0.{last}")).collect();
        machine::add(GATEWAYS, &addresses.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        machine::add("ingress", &["10.0.1.2"]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path();
        let etcd = etcd(logs);
        let gateways: Vec<_> = (1..=3).map(|last| Gateway::start(last, logs)).collect();
        let ingress = [
            Ingress::start(None, "10.0.1.1", "/etc/pushring", mode, logs),
            Ingress::start(Some("ingress"), "10.0.1.2", "/etc/pushring-2", mode, logs),
        ];
        ingress.iter().for_each(|one| one.wait_members(3));
        let sweeper = sweeper(logs);
        let load = Some(Load::start());
        let alerts = Alerts::receive().unwrap();
        let observers = Observers::start(logs, factor, alerts.address);
        Self { load, gateways, ingress, sweeper, etcd, alerts, observers, serve: None, dir }
    }

    /// Starts `pushring serve`, and makes it a target of both Prometheus.
    pub(crate) fn start_serve(&mut self) {
        let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
        command.args(["serve", "--config", "/etc/pushring/live/ring.yaml", "--listen", SERVE]);
        self.serve = Some(Process::start("serve", command, self.dir.path()).unwrap());
        fs::write("/etc/pushring/serve.json", json!([{"targets": [SERVE]}]).to_string()).unwrap();
    }

    pub(crate) fn add_gateway(&mut self, last: u8) {
        self.gateways.push(Gateway::start(last, self.dir.path()));
    }

    pub(crate) fn wait_members(&self, count: usize) {
        self.ingress.iter().for_each(|one| one.wait_members(count));
    }

    pub(crate) fn restart_sweeper(&mut self) {
        self.sweeper.kill();
        self.sweeper = sweeper(self.dir.path());
    }

    /// Starts etcd again after its end.
    pub(crate) fn restart_etcd(&mut self) {
        self.etcd = etcd(self.dir.path());
    }

    /// Returns the index of the gateway that stores a group with this job, once a push arrived.
    pub(crate) fn owner(&self, job: &str) -> usize {
        let holds = |gateway: &Gateway| {
            gateway.server.groups().is_ok_and(|groups| groups.iter().any(|group| group["job"] == job))
        };
        poll_until(&format!("the owner of {job}"), || self.gateways.iter().position(holds)).unwrap()
    }
}

/// Starts etcd with its data of the last start, if any.
fn etcd(logs: &Path) -> Process {
    let mut command = process::command(&tools::find("etcd").unwrap());
    command.arg("--data-dir").arg(logs.join("etcd"));
    let url = format!("http://{ETCD}");
    command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
    let mut process = Process::start("etcd", command, logs).unwrap();
    let client = pushring_harness::http::Client::new(ETCD.parse().unwrap()).unwrap();
    process
        .wait_until("healthy", |_| client.get("/health").ok().filter(|answer| answer.status == 200))
        .unwrap();
    process
}

fn sweeper(logs: &Path) -> Process {
    let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
    command.args(["sweep", "--watch", "1s", "--settle", "1s", "--single", "--listen", "10.0.1.1:9089"]);
    command.args(["--config", "/etc/pushring/live/ring.yaml"]);
    command.args(["--envoy", "http://10.0.1.1:9091", "--envoy", "http://10.0.1.2:9091"]);
    Process::start("sweeper", command, logs).unwrap()
}
