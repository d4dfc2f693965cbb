//! A running `pushring discover` with a live folder of its own, and an Envoy that reads it where a test wants one.

use std::net::SocketAddr;

use pushring::fleet::ring_file::RingFile;
use pushring_harness::http::Client;
use pushring_harness::{
    Envoy, Layout, Mode, Ports, Process, Pushgateway, Templates, command, poll_until, process, tools,
};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Discover {
    pub(crate) process: Process,
    pub(crate) layout: Layout,
    pub(crate) envoy: Option<Envoy>,
    source: Vec<String>,
    pub(crate) dir: TempDir,
}

/// Waits until every gateway stores a push.
pub(crate) fn wait_pushes(gateways: &[Pushgateway]) {
    let groups = |gateway: &Pushgateway| gateway.groups().unwrap().len();
    poll_until("pushes on every gateway", || gateways.iter().all(|one| groups(one) > 0).then_some(()))
        .unwrap();
}

impl Discover {
    /// Starts it with the flags of a source, without Envoy.
    pub(crate) fn start(source: &[&str]) -> Self {
        Self::start_with(source, &[])
    }

    /// Starts it with some settings replaced.
    pub(crate) fn start_with(source: &[&str], settings: &[(&str, &str)]) -> Self {
        let (dir, layout) = install(Mode::Cluster, settings);
        let source: Vec<String> = source.iter().map(|&flag| flag.to_owned()).collect();
        let process = spawn(&dir, &layout, &source, None);
        Self { process, layout, envoy: None, source, dir }
    }

    /// Publishes once, starts Envoy, and then follows the source.
    pub(crate) fn with_envoy(mode: Mode, source: &[&str]) -> Self {
        let (dir, layout) = install(mode, &[]);
        let source: Vec<String> = source.iter().map(|&flag| flag.to_owned()).collect();
        let once = prepared(&layout, &source).arg("--once").output().unwrap();
        assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));
        let envoy = Envoy::start(&layout, 1).unwrap();
        let process = spawn(&dir, &layout, &source, Some(envoy.admin));
        Self { process, layout, envoy: Some(envoy), source, dir }
    }

    /// Runs it with `--once` and returns its exit code and its errors. The process must have ended.
    pub(crate) fn once(&self) -> (Option<i32>, String) {
        let output = prepared(&self.layout, &self.source).arg("--once").output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts the process again after its end.
    pub(crate) fn restart(&mut self) {
        let admin = self.envoy.as_ref().map(|envoy| envoy.admin);
        self.process = spawn(&self.dir, &self.layout, &self.source, admin);
    }

    /// Returns the names of the members on the ring as published; none before the first publication.
    pub(crate) fn ring(&self) -> Vec<String> {
        let ring = RingFile::read(&self.layout.live().join("ring.yaml"));
        let members = ring.map(|ring| ring.config.members).unwrap_or_default();
        members.into_iter().map(|member| member.name).collect()
    }

    /// Waits until the ring has exactly these members.
    pub(crate) fn wait_ring(&self, names: &[&str]) {
        let mut wanted = names.to_vec();
        wanted.sort_unstable();
        let ring = || {
            let mut ring = self.ring();
            ring.sort_unstable();
            (ring == wanted).then_some(())
        };
        poll_until(&format!("the ring {wanted:?}"), ring)
            .unwrap_or_else(|error| panic!("{error:#}\n{:?}\n{}", self.ring(), self.process.log()));
    }

    /// Waits for a logged event with this message and this number of times.
    pub(crate) fn wait_log(&mut self, message: &str, times: usize) {
        let quoted = format!("\"message\":{}", Value::from(message));
        let logged = |process: &Process| (process.log().matches(&quoted).count() >= times).then_some(());
        self.process.wait_until(&format!("{message:?} {times} times"), logged).unwrap();
    }

    /// Returns a gauge or a counter of its metrics.
    pub(crate) fn metric(&mut self, name: &str) -> Option<f64> {
        let url = self.process.wait_until("the address", |process| listening(&process.log())).unwrap();
        let text = Client::new(url).unwrap().get("/metrics").ok()?.text();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    pub(crate) fn wait_metric(&mut self, name: &str, wanted: f64) {
        let shown = poll_until(&format!("{name} {wanted}"), || (self.metric(name)? == wanted).then_some(()));
        shown.unwrap_or_else(|error| panic!("{error:#}\n{:?}\n{}", self.metric(name), self.process.log()));
    }

    /// Ends it with SIGTERM.
    pub(crate) fn stop(&mut self) {
        assert_eq!(self.process.stop(Signal::TERM).unwrap().code(), Some(0), "{}", self.process.log());
    }
}

fn install(mode: Mode, settings: &[(&str, &str)]) -> (TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
    Templates::install(&layout, settings).unwrap();
    (dir, layout)
}

fn prepared(layout: &Layout, source: &[String]) -> std::process::Command {
    let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
    command.arg("discover").args(source).arg("--live").arg(layout.live());
    command.arg("--settings").arg(layout.dir().join("consul-template/settings.yaml"));
    command
}

fn spawn(dir: &TempDir, layout: &Layout, source: &[String], admin: Option<SocketAddr>) -> Process {
    let mut command = prepared(layout, source);
    command.args(["--listen", "127.0.0.1:0", "--delay", "0s"]);
    if let Some(admin) = admin {
        command.arg("--admin").arg(format!("http://{admin}"));
    }
    Process::start("discover", command, dir.path()).unwrap()
}

/// Returns the last address that it logged.
pub(crate) fn listening(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.rsplit_once("\"url\":\"http://")?;
    rest.split_once("/metrics")?.0.parse().ok()
}
