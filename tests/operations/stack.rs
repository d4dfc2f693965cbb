//! All that stands on an ingress machine, with Pushgateways registered by `pushring register`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Output;

use pushring_harness::{
    Consul, ConsulTemplate, Envoy, Layout, Mode, Ports, Pushgateway, Templates, command, poll_until,
};
use serde_json::Value;
use tempfile::TempDir;

/// Checks that find out within a second or two; an operator has more patience.
const QUICK: [&str; 6] = [
    "--interval=1s",
    "--timeout=1s",
    "--failures-before-critical=1",
    "--success-before-passing=1",
    "--output",
    "json",
];

/// Stopped when dropped, the folder last.
pub(crate) struct Stack {
    pub(crate) envoy: Envoy,
    pub(crate) template: ConsulTemplate,
    pub(crate) templates: Templates,
    pub(crate) consul: Consul,
    pub(crate) layout: Layout,
    pub(crate) gateways: Vec<Pushgateway>,
    dir: TempDir,
}

impl Stack {
    /// Started in the order of the guide; all Pushgateways are on the ring. `settings` edits settings.yaml.
    pub(crate) fn start(mode: Mode, gateways: usize, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let consul = Consul::start(dir.path()).unwrap();
        let gateways: Vec<_> = (0..gateways).map(|_| Pushgateway::start(dir.path(), &[]).unwrap()).collect();
        let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
        let templates = Templates::install(&layout, settings).unwrap();
        templates.once(consul.address).unwrap();
        let envoy = Envoy::start(&layout, 2).unwrap();
        templates.set_admin(envoy.admin).unwrap();
        let template = templates.start(&consul).unwrap();
        let stack = Self { envoy, template, templates, consul, layout, gateways, dir };
        stack.register(&stack.addresses());
        stack.wait_ring(&stack.addresses());
        stack
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.gateways.iter().map(|gateway| gateway.address).collect()
    }

    /// Starts one more Pushgateway; it is not registered yet.
    pub(crate) fn add_gateway(&mut self) -> SocketAddr {
        self.gateways.push(Pushgateway::start(self.dir.path(), &[]).unwrap());
        self.gateways[self.gateways.len() - 1].address
    }

    /// Starts a Pushgateway anew where one was killed.
    pub(crate) fn restart_gateway(&mut self, index: usize) {
        let address = self.gateways[index].address;
        self.gateways[index] = Pushgateway::start_at(self.dir.path(), address, &[]).unwrap();
    }

    pub(crate) fn register(&self, addresses: &[SocketAddr]) {
        self.pushring("register", &QUICK, addresses);
    }

    pub(crate) fn deregister(&self, address: SocketAddr) {
        self.pushring("deregister", &[], &[address]);
    }

    fn pushring(&self, command: &str, args: &[&str], addresses: &[SocketAddr]) -> Output {
        let output = command::command()
            .unwrap()
            .arg(command)
            .arg(format!("--consul={}", self.consul.address))
            .args(args)
            .args(addresses.iter().map(ToString::to_string))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Waits until the ring in force has exactly these members, on every worker.
    pub(crate) fn wait_ring(&self, addresses: &[SocketAddr]) {
        let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // Several answers in a row: each may come from another worker.
        for _ in 0..8 {
            self.envoy.wait_members(&names).unwrap();
        }
    }

    /// The address that GET on a push path names as the owner.
    pub(crate) fn owner(&self, path: &str) -> SocketAddr {
        let answer = self.lookup(path);
        answer["owner"]["address"].as_str().unwrap().parse().unwrap()
    }

    /// The lookup as JSON.
    pub(crate) fn lookup(&self, path: &str) -> Value {
        let client = self.envoy.client().unwrap();
        client.send("GET", path, &[("accept", "application/json")], "").unwrap().json().unwrap()
    }

    pub(crate) fn owners(&self, paths: &[String]) -> Vec<SocketAddr> {
        paths.iter().map(|path| self.owner(path)).collect()
    }

    /// Whether the Pushgateway at this address holds a group of this job.
    pub(crate) fn holds(&self, address: SocketAddr, job: &str) -> bool {
        let gateway = self.gateways.iter().find(|gateway| gateway.address == address).unwrap();
        gateway.groups().unwrap().iter().any(|group| group["job"] == job)
    }

    /// Waits for a line in the log of consul-template, where `pushring publish` writes too.
    pub(crate) fn wait_log(&self, text: &str) {
        poll_until(&format!("consul-template's log to say {text:?}"), || {
            self.template.process.log().contains(text).then_some(())
        })
        .unwrap_or_else(|error| panic!("{error:#}\n{}", self.template.process.log()));
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

/// Push paths of that many groups, one a job.
pub(crate) fn paths(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("/metrics/job/job{index}")).collect()
}

/// The job of a path made by [`paths`].
pub(crate) fn job(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}
