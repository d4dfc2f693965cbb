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

/// A registration with the address of a gateway.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) address: GatewayAddress,
    /// Service meta `pushring-scheme`.
    pub(crate) scheme: Option<String>,
    pub(crate) passing: bool,
    pub(crate) holder: Holder,
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
        let same = self.registered(service, datacenter, |found| found == address)?;
        Ok(same.into_iter().map(|found| found.holder).collect())
    }

    /// Returns all registrations whose addresses are `wanted`, in one datacenter (default: the agent's), whatever their
    /// health.
    ///
    /// # Errors
    /// As [`Consul::registrations`].
    pub(crate) fn registered(
        &self,
        service: &str,
        datacenter: Option<&str>,
        wanted: impl Fn(&GatewayAddress) -> bool,
    ) -> anyhow::Result<Vec<Registered>> {
        let entries = self.entries(service, datacenter)?;
        let instances = entries.into_iter().filter_map(Result::ok);
        let with_address = instances.filter_map(|instance| Some((instance.address().ok()?, instance)));
        let found: Vec<_> = with_address.filter(|(address, _)| wanted(address)).collect();
        let own = if found.is_empty() { None } else { self.node() };
        let registered = |(address, instance): (GatewayAddress, Instance)| Registered {
            scheme: instance.scheme().map(str::to_owned),
            passing: instance.is_passing(),
            holder: self.holder(service, &address, instance, own.as_ref()),
            address,
        };
        Ok(found.into_iter().map(registered).collect())
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
            removal(service, address, &agent)
        } else {
            let body = json!({"Datacenter": node.datacenter, "Node": node.node, "ServiceID": id}).to_string();
            let (url, body) =
                (format!("{}/v1/catalog/deregister", self.address()), text::shell(&text::json(&body)));
            format!("curl -X PUT {} -d {body}", text::shell(&url))
        };
        Holder { id, node: node.node, agent: node.address, agent_alive, here, remove }
    }
}

/// Returns the command that removes a registration at an agent.
pub(crate) fn removal(service: &str, address: &GatewayAddress, agent: &str) -> String {
    // An address from the catalog may be anything, also a command.
    let plain = agent.bytes().all(|b| b.is_ascii_alphanumeric() || b".:/-[]".contains(&b));
    let agent = if plain { agent.to_owned() } else { text::shell(agent) };
    format!("pushring deregister {address} --service {service} --consul {agent}")
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
