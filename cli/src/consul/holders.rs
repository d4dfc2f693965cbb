//! Registrations that keep a gateway on the ring, wherever in the catalog they are, and how to remove them.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::client::Consul;
use super::health::Instance;
use crate::fleet::address::GatewayAddress;
use crate::text;

/// A registration of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Holder {
    /// ID of the service, unique on its node.
    pub(crate) id: String,
    pub(crate) node: String,
    /// Address of the node's agent.
    pub(crate) agent: String,
    /// Whether the agent is alive, by Consul's own check. A registration of an agent that is alive can only be removed there:
    /// the agent would add it to the catalog again.
    pub(crate) agent_alive: bool,
    /// Whether it is at the agent of `--consul`.
    #[serde(skip)]
    pub(crate) here: bool,
    /// The command that removes it.
    pub(crate) remove: String,
}

impl Consul {
    /// Returns all registrations of an address in one datacenter (default: the agent's), whatever their health.
    ///
    /// # Errors
    /// As [`Consul::registrations`].
    pub(crate) fn holders(
        &self,
        service: &str,
        datacenter: Option<&str>,
        address: &GatewayAddress,
    ) -> anyhow::Result<Vec<Holder>> {
        let entries = self.entries(service, datacenter)?;
        let instances = entries.into_iter().filter_map(Result::ok);
        let same = instances.filter(|instance| instance.address().as_ref() == Ok(address));
        let same: Vec<_> = same.collect();
        let own = if same.is_empty() { None } else { self.node() };
        let own = own.as_ref();
        Ok(same.into_iter().map(|instance| self.holder(service, address, instance, own)).collect())
    }

    /// `own` is datacenter and name of the node of `--consul`, if it is known.
    fn holder(
        &self,
        service: &str,
        address: &GatewayAddress,
        found: Instance,
        own: Option<&(String, String)>,
    ) -> Holder {
        let agent_alive = found.agent_is_alive();
        let here = own.is_some_and(|(datacenter, name)| {
            *datacenter == found.node.datacenter && name.eq_ignore_ascii_case(&found.node.node)
        });
        let (id, node) = (found.service.id, found.node);
        let remove = if agent_alive {
            let agent =
                if node.address.contains(':') { format!("[{}]", node.address) } else { node.address.clone() };
            let agent = if here { self.given().to_owned() } else { format!("{agent}:8500") };
            // An address from the catalog may be anything, also a command.
            let plain = agent.bytes().all(|b| b.is_ascii_alphanumeric() || b".:/-[]".contains(&b));
            let agent = if plain { agent } else { text::shell(&agent) };
            format!("pushring deregister {address} --service {service} --consul {agent}")
        } else {
            let body = json!({"Datacenter": node.datacenter, "Node": node.node, "ServiceID": id}).to_string();
            let (url, body) =
                (format!("{}/v1/catalog/deregister", self.address()), text::shell(&text::json(&body)));
            format!("curl -X PUT {} -d {body}", text::shell(&url))
        };
        Holder { id, node: node.node, agent: node.address, agent_alive, here, remove }
    }
}

/// Names the registration and says how to remove it.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, node, agent, agent_alive, remove, .. } = self;
        let [id, node, agent] = [id, node, agent].map(|part| text::line(part));
        let state = if *agent_alive { "" } else { ", which is gone" };
        write!(f, "ID {id} on node {node} (agent at {agent}{state}); remove it:\n  {remove}")
    }
}
