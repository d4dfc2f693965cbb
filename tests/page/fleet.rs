//! Pushgateways behind Envoy, and `pushring serve`, to which Envoy passes what is no push.

use std::net::SocketAddr;

use pushring_harness::http::Client;
use pushring_harness::{
    Envoy, Layout, Member, Mode, Ports, Process, Pushgateway, command, envoy_files, poll_until, process,
    tools,
};
use serde_json::json;
use tempfile::TempDir;

use crate::browser::Browser;

/// Stops all servers when dropped.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) envoy: Envoy,
    /// Address of `pushring serve` itself.
    pub(crate) serve: SocketAddr,
    pub(crate) gateways: Vec<Pushgateway>,
    _process: Process,
    _dir: TempDir,
}

impl Fleet {
    /// Starts three gateways, with each push mirrored to the next one if `replicas`.
    pub(crate) fn start(replicas: bool) -> Self {
        Self::with_flags(replicas, &[])
    }

    /// As [`Fleet::start`], with flags for each gateway.
    pub(crate) fn with_flags(replicas: bool, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateways: Vec<_> = (0..3).map(|_| Pushgateway::start(dir.path(), flags).unwrap()).collect();
        let members: Vec<Member> = gateways.iter().map(|gateway| gateway.address.into()).collect();
        let mut config = envoy_files::config(Mode::Cluster, &members).unwrap();
        config.as_object_mut().unwrap().remove("mirror_deletes");
        config["mirror"] = json!(if replicas { "all" } else { "deletes" });
        for (index, member) in config["members"].as_array_mut().unwrap().iter_mut().enumerate() {
            member["name"] = json!(format!("gateway-{}", index + 1));
        }
        let layout = Layout::create(&dir.path().join("pushring"), Mode::Cluster, Ports::default()).unwrap();
        layout.write(&config).unwrap();
        let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--deadline", "60s", "--config"])
            .arg(layout.live().join("ring.yaml"));
        let mut process = Process::start("serve", command, dir.path()).unwrap();
        let serve = process.wait_until("its address", |process| address(&process.log())).unwrap();
        layout.serve_at(serve).unwrap();
        let envoy = layout.start(&tools::find("envoy").unwrap(), 1).unwrap();
        let fleet = Self { envoy, serve, gateways, _process: process, _dir: dir };
        let client = fleet.client();
        let passes = || (client.get("/").ok()?.status == 200).then_some(());
        poll_until("Envoy to pass the page", passes).unwrap();
        fleet
    }

    pub(crate) fn client(&self) -> Client {
        self.envoy.client().unwrap()
    }

    /// Opens a browser at Envoy.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.envoy.push)
    }

    /// Pushes through Envoy, which must accept it.
    #[track_caller]
    pub(crate) fn push(&self, path: &str, body: &str) {
        let answer = self.client().put(path, body.to_owned()).unwrap();
        assert!(matches!(answer.status, 200 | 202), "{path}: {} {}", answer.status, answer.text());
    }

    /// Returns the number of gateways that hold a group with this job.
    pub(crate) fn holders(&self, job: &str) -> usize {
        let holds =
            |gateway: &&Pushgateway| gateway.groups().unwrap().iter().any(|labels| labels["job"] == job);
        self.gateways.iter().filter(holds).count()
    }
}

/// Returns the address in the line that reports the start.
fn address(log: &str) -> Option<SocketAddr> {
    let (_, after) = log.split_once("http://")?;
    after.split(|char: char| !char.is_ascii_digit() && !".:".contains(char)).next()?.parse().ok()
}
