//! Consul, consul-template with the shipped templates, and an Envoy: the chain as it is installed.

use std::net::SocketAddr;

use pushring_harness::{
    Consul, ConsulTemplate, Envoy, Layout, Mode, Ports, Pushgateway, Templates, poll_until,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Stopped when dropped, in the order of the fields.
pub(crate) struct World {
    pub(crate) daemon: ConsulTemplate,
    pub(crate) envoy: Envoy,
    pub(crate) consul: Consul,
    pub(crate) layout: Layout,
    pub(crate) templates: Templates,
    pub(crate) dir: TempDir,
}

impl World {
    /// As the operator starts it, with nothing registered yet; `edits` replace parts of settings.yaml.
    pub(crate) fn start(mode: Mode, edits: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let consul = Consul::start(dir.path()).unwrap();
        let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
        let templates = Templates::install(&layout, edits).unwrap();
        templates.once(consul.address).unwrap();
        let envoy = Envoy::start(&layout, 2).unwrap();
        templates.set_admin(envoy.admin).unwrap();
        let daemon = templates.start(&consul).unwrap();
        Self { daemon, envoy, consul, layout, templates, dir }
    }

    pub(crate) fn gateway(&self) -> Pushgateway {
        Pushgateway::start(self.dir.path(), &[]).unwrap()
    }

    /// Registers through the catalog, on a node that no agent watches: what it says stays so.
    pub(crate) fn catalog(&self, node: &str, address: &str, port: u16, status: &str) {
        let id = format!("{address}_{port}");
        let service = json!({"ID": id, "Service": "pushgateway", "Address": address, "Port": port});
        let check = json!({"CheckID": format!("check-{id}"), "Name": "x", "ServiceID": id, "Status": status});
        let body = json!({"Node": node, "Address": "127.0.0.1", "Service": service, "Check": check});
        self.consul.put("/v1/catalog/register", &body).unwrap();
    }

    pub(crate) fn wait_members(&self, members: &[SocketAddr]) {
        let names: Vec<String> = members.iter().map(SocketAddr::to_string).collect();
        self.envoy.wait_members(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    }

    /// Waits for a text in what consul-template and publish say from now on.
    pub(crate) fn wait_log(&self, after: usize, text: &str) {
        poll_until(&format!("consul-template to log {text:?}"), || {
            self.daemon.process.log().get(after..)?.contains(text).then_some(())
        })
        .unwrap();
    }

    /// Name and weight of the members in force.
    pub(crate) fn members(&self) -> Vec<(String, u64)> {
        let status = self.envoy.status().unwrap();
        let member = |m: &Value| Some((m["name"].as_str()?.to_owned(), m["weight"].as_u64()?));
        status["members"].as_array().unwrap().iter().map(|m| member(m).unwrap()).collect()
    }
}
