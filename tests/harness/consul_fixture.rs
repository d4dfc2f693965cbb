//! The whole chain as it is installed: Consul, consul-template with the shipped templates, Envoy and Pushgateways.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Consul, ConsulTemplate, Envoy, Layout, Mode, Ports, Pushgateway, Templates, command, poll_until,
};

/// Health checks that notice a change within two seconds.
const QUICK: [&str; 6] = [
    "--interval=1s",
    "--timeout=1s",
    "--failures-before-critical=1",
    "--success-before-passing=1",
    "--output",
    "json",
];

/// Stops all servers when dropped.
#[derive(Debug)]
pub struct ConsulFixture {
    /// Renders what Consul knows and publishes it.
    pub consul_template: ConsulTemplate,
    /// Serves pushes with two workers.
    pub envoy: Envoy,
    /// The registered services are the members.
    pub consul: Consul,
    /// Envoy's files.
    pub layout: Layout,
    /// The installed templates.
    pub templates: Templates,
    /// The Pushgateways of [`ConsulFixture::start`] and [`ConsulFixture::add_gateway`].
    pub gateways: Vec<Pushgateway>,
    /// Contains all files and logs.
    pub dir: TempDir,
}

impl ConsulFixture {
    /// Starts the servers in the order of the operations guide, registers the Pushgateways and waits for them in the ring.
    /// `settings` replaces parts of `settings.yaml`.
    #[must_use]
    pub fn start(mode: Mode, gateways: usize, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let consul = Consul::start(dir.path()).unwrap();
        let gateways: Vec<_> = (0..gateways).map(|_| Pushgateway::start(dir.path(), &[]).unwrap()).collect();
        let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
        let templates = Templates::install(&layout, settings).unwrap();
        templates.once(consul.address).unwrap();
        let envoy = Envoy::start(&layout, 2).unwrap();
        templates.set_admin(envoy.admin).unwrap();
        let consul_template = templates.start(consul.address).unwrap();
        let fixture = Self { consul_template, envoy, consul, layout, templates, gateways, dir };
        if !fixture.gateways.is_empty() {
            fixture.register(&fixture.addresses());
            fixture.wait_ring(&fixture.addresses());
        }
        fixture
    }

    /// Returns the addresses of its Pushgateways.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.gateways.iter().map(|gateway| gateway.address).collect()
    }

    /// Starts a Pushgateway that neither the fixture nor Consul lists.
    #[must_use]
    pub fn gateway(&self) -> Pushgateway {
        Pushgateway::start(self.dir.path(), &[]).unwrap()
    }

    /// Starts one more of its Pushgateways; Consul does not list it yet.
    pub fn add_gateway(&mut self) -> SocketAddr {
        let gateway = self.gateway();
        let address = gateway.address;
        self.gateways.push(gateway);
        address
    }

    /// Starts a Pushgateway again at the address of a killed one.
    pub fn restart_gateway(&mut self, index: usize) {
        let address = self.gateways[index].address;
        self.gateways[index] = Pushgateway::start_at(self.dir.path(), address, &[]).unwrap();
    }

    /// Runs `pushring register`.
    pub fn register(&self, addresses: &[SocketAddr]) {
        self.pushring("register", &QUICK, addresses);
    }

    /// Runs `pushring deregister`.
    pub fn deregister(&self, address: SocketAddr) {
        self.pushring("deregister", &[], &[address]);
    }

    fn pushring(&self, command: &str, args: &[&str], addresses: &[SocketAddr]) {
        let output = command::command()
            .unwrap()
            .arg(command)
            .arg(format!("--consul={}", self.consul.address))
            .args(args)
            .args(addresses.iter().map(ToString::to_string))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Registers a service in the catalog on a node without an agent, so that its status stays as it is.
    pub fn catalog(&self, node: &str, address: &str, port: u16, status: &str) {
        let id = format!("{address}_{port}");
        let service = json!({"ID": id, "Service": "pushgateway", "Address": address, "Port": port});
        let check = json!({"CheckID": format!("check-{id}"), "Name": "x", "ServiceID": id, "Status": status});
        let body = json!({"Node": node, "Address": "127.0.0.1", "Service": service, "Check": check});
        self.consul.put("/v1/catalog/register", &body).unwrap();
    }

    /// Waits until the ring in Envoy has exactly these members, in all workers.
    pub fn wait_ring(&self, addresses: &[SocketAddr]) {
        let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // Each answer may come from another worker.
        for _ in 0..8 {
            self.envoy.wait_members(&names).unwrap();
        }
    }

    /// Waits for a text in the log of consul-template and publish after the first `after` bytes.
    pub fn wait_log(&self, after: usize, text: &str) {
        poll_until(&format!("consul-template to log {text:?}"), || {
            self.consul_template.process.log().get(after..)?.contains(text).then_some(())
        })
        .unwrap_or_else(|error| panic!("{error:#}\n{}", self.consul_template.process.log()));
    }

    /// Returns name and weight of each member of the ring in Envoy.
    #[must_use]
    pub fn members(&self) -> Vec<(String, u64)> {
        let status = self.envoy.status().unwrap();
        let member = |m: &Value| Some((m["name"].as_str()?.to_owned(), m["weight"].as_u64()?));
        status["members"].as_array().unwrap().iter().map(|m| member(m).unwrap()).collect()
    }

    /// Returns the address of the owner of a group, by a lookup in Envoy.
    #[must_use]
    pub fn owner(&self, path: &str) -> SocketAddr {
        let client = self.envoy.client().unwrap();
        let answer = client.send("GET", path, &[("accept", "application/json")], "").unwrap();
        answer.json().unwrap()["owner"]["address"].as_str().unwrap().parse().unwrap()
    }

    /// Returns the owner of each path.
    #[must_use]
    pub fn owners(&self, paths: &[String]) -> Vec<SocketAddr> {
        paths.iter().map(|path| self.owner(path)).collect()
    }

    /// Returns whether the Pushgateway at this address stores a group of this job.
    #[must_use]
    pub fn holds(&self, address: SocketAddr, job: &str) -> bool {
        let gateway = self.gateways.iter().find(|gateway| gateway.address == address).unwrap();
        gateway.groups().unwrap().iter().any(|group| group["job"] == job)
    }
}

/// Returns the push paths of `count` groups, each with its own job.
#[must_use]
pub fn paths(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("/metrics/job/job{index}")).collect()
}

/// Returns the job of a path made by [`paths`].
#[must_use]
pub fn job(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}
