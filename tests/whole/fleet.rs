//! Three Pushgateways, `pushring serve` and Envoy with the shipped files.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pushring_harness::command::CommandOutput;
use pushring_harness::http::Client;
use pushring_harness::{
    Envoy, Layout, Mode, Ports, Process, Pushgateway, command, envoy_files, poll_until, process, tools,
};
use serde_json::Value;

/// Dropping it stops everything.
pub(crate) struct Fleet {
    /// Knows the address of pushes, and no other.
    pub(crate) client: Client,
    pub(crate) gateways: Vec<Pushgateway>,
    pub(crate) config: Value,
    pub(crate) envoy: Envoy,
    pub(crate) serve: Process,
    ring: PathBuf,
    dir: tempfile::TempDir,
}

impl Fleet {
    /// Starts a fleet in which each group has a replica.
    pub(crate) fn start(mode: Mode) -> Self {
        Self::with(mode, "", &[])
    }

    /// Starts one with a `path_prefix` and more flags of `serve`.
    pub(crate) fn with(mode: Mode, prefix: &str, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let route = format!("--web.route-prefix={prefix}");
        let route: &[&str] = if prefix.is_empty() { &[] } else { &[&route] };
        let gateways: Vec<_> = (0..3).map(|_| Pushgateway::start(dir.path(), route).unwrap()).collect();
        let members: Vec<_> = gateways.iter().map(|gateway| gateway.address.into()).collect();
        let mut config = envoy_files::config(mode, &members).unwrap();
        config["mirror"] = "all".into();
        config["path_prefix"] = prefix.into();
        let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
        layout.write(&config).unwrap();
        let (serve, address) = serve(&layout, dir.path(), flags);
        layout.serve_at(address).unwrap();
        let envoy = Envoy::start(&layout, 1).unwrap();
        let client = envoy.client().unwrap();
        poll_until("Envoy to find serve", || (client.get("/metrics").ok()?.status == 200).then_some(()))
            .unwrap();
        Self { client, gateways, config, envoy, serve, ring: layout.live().join("ring.yaml"), dir }
    }

    /// Returns the value of each group in `/metrics`; each is there once.
    #[track_caller]
    pub(crate) fn values(&self) -> BTreeMap<String, String> {
        let answer = self.client.get("/metrics").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let mut values = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("value{")) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let twice = values.insert(series.to_owned(), value.to_owned());
            assert_eq!(twice, None, "{series} is there twice:\n{text}");
        }
        values
    }

    /// Waits until each of `groups` groups has its replica.
    pub(crate) fn wait_replicas(&self, groups: usize) {
        let copies = || self.gateways.iter().map(|gateway| gateway.groups().unwrap().len()).sum::<usize>();
        poll_until("each group to have a replica", || (copies() == 2 * groups).then_some(())).unwrap();
    }

    /// Restores the copies that gateways lost.
    pub(crate) fn repair(&self) -> CommandOutput {
        let ring = self.ring.display().to_string();
        command::pushring(["sweep", "--repair", "--settle", "1s", "--config", &ring]).unwrap()
    }

    /// Ends a gateway as a crash does.
    pub(crate) fn kill(&mut self, gateway: usize) {
        self.gateways[gateway].process.kill();
    }

    /// Starts a gateway again, without its groups.
    pub(crate) fn start_empty(&mut self, gateway: usize) {
        let address = self.gateways[gateway].address;
        self.gateways[gateway] = Pushgateway::start_at(self.dir.path(), address, &[]).unwrap();
    }
}

/// Starts `pushring serve` and returns its address.
fn serve(layout: &Layout, dir: &Path, flags: &[&str]) -> (Process, SocketAddr) {
    let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(layout.live().join("ring.yaml"))
        .args(flags);
    let mut serve = Process::start("serve", command, dir).unwrap();
    let address = serve.wait_until("to listen", |serve| {
        let log = serve.log();
        let (_, rest) = log.split_once("http://")?;
        rest[..rest.find(|end: char| !end.is_ascii_digit() && !".:".contains(end))?].parse().ok()
    });
    (serve, address.unwrap())
}
