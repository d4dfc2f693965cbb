//! `pushring discover --from kubernetes`, with or without an Envoy.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use pushring_harness::http::Client;
use pushring_harness::{Envoy, Layout, Mode, Ports, Process, Templates, command, poll_until, process, tools};
use serde_json::Value;

use super::cluster::Cluster;
use super::fleet::pods;

/// Envoy's files, and the process that keeps them up to date.
pub(crate) struct Discover {
    pub(crate) process: Process,
    pub(crate) layout: Layout,
}

impl Discover {
    /// Returns the folders of an Envoy without live files.
    pub(crate) fn layout(cluster: &Cluster, mode: Mode) -> Layout {
        let layout = Layout::create(&cluster.dir.path().join("pushring"), mode, Ports::default()).unwrap();
        Templates::install(&layout, &[]).unwrap();
        layout
    }

    /// Returns the subcommand and the flags that every run needs.
    pub(crate) fn args(layout: &Layout, kubeconfig: &Path) -> Vec<String> {
        vec![
            "discover".to_owned(),
            "--from=kubernetes".to_owned(),
            "--service=pushgateway".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--live={}", layout.live().display()),
            format!("--settings={}", layout.dir().join("consul-template/settings.yaml").display()),
        ]
    }

    /// Follows the service as the administrator, behind an Envoy, and waits until the ring has this number of members.
    pub(crate) fn with_envoy(cluster: &Cluster, mode: Mode, members: usize, more: &[&str]) -> (Self, Envoy) {
        let admin = cluster.admin();
        let layout = Self::once_all(cluster, mode, &admin, members);
        let envoy = Envoy::start(&layout, 2).unwrap();
        let mut discover = Self::start(cluster, layout, Some(&envoy), &admin, more);
        discover.wait_ring(&pods(members));
        (discover, envoy)
    }

    /// Publishes the first ring, before Envoy starts, as soon as it has this number of members.
    fn once_all(cluster: &Cluster, mode: Mode, kubeconfig: &Path, members: usize) -> Layout {
        let layout = Self::layout(cluster, mode);
        poll_until(&format!("a ring of {members}"), || {
            let args = Self::args(&layout, kubeconfig).into_iter().chain(["--once".to_owned()]);
            let output = command::pushring(args).unwrap();
            (output.code == 0 && ring(&layout.live()).len() == members).then_some(())
        })
        .unwrap();
        layout
    }

    /// Starts to follow the service.
    pub(crate) fn start(
        cluster: &Cluster,
        layout: Layout,
        envoy: Option<&Envoy>,
        kubeconfig: &Path,
        more: &[&str],
    ) -> Self {
        let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
        command.args(Self::args(&layout, kubeconfig)).arg("--listen=127.0.0.1:0").args(more);
        if let Some(envoy) = envoy {
            command.arg(format!("--admin=http://{}", envoy.admin));
        }
        let process = Process::start("discover", command, cluster.dir.path()).unwrap();
        Self { process, layout }
    }

    /// Returns names and addresses of the members in the live ring.
    pub(crate) fn ring(&self) -> Vec<(String, String)> {
        ring(&self.layout.live())
    }

    /// Waits until the live ring has exactly the members with these names.
    pub(crate) fn wait_ring(&mut self, names: &[String]) {
        let live = self.layout.live();
        let found = || ring(&live).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        self.process
            .wait_until(&format!("the ring {names:?}"), |_| (found() == names).then_some(()))
            .unwrap();
    }

    /// Waits until it has logged this message with a text in it.
    pub(crate) fn wait_log(&mut self, message: &str, text: &str) {
        let line = |line: &str| line.contains(&format!("\"message\":\"{message}\"")) && line.contains(text);
        let logged = |process: &Process| process.log().lines().any(line).then_some(());
        self.process.wait_until(&format!("{message:?} with {text:?}"), logged).unwrap();
    }

    /// Waits until a metric has this value.
    pub(crate) fn wait_metric(&self, name: &str, value: &str) {
        let line = format!("{name} {value}");
        poll_until(&line, || {
            // The log has the address of an earlier start, too.
            let address = listening(&self.process.log())?;
            let text = Client::new(address).ok()?.get("/metrics").ok()?.text();
            text.lines().any(|found| found == line).then_some(())
        })
        .unwrap();
    }
}

/// Returns names and addresses of the members in the ring of a live folder.
pub(crate) fn ring(live: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(live.join("ring.yaml")).unwrap_or_default();
    let Ok(json) = pushring::fleet::ring_file::filter_json(&text) else { return Vec::new() };
    let config: Value = serde_json::from_str(&json).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    config["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (text(&one["name"]), text(&one["address"])))
        .collect()
}

fn listening(log: &str) -> Option<SocketAddr> {
    log.rsplit_once("\"url\":\"http://")?.1.split_once("/metrics")?.0.parse().ok()
}
