//! The registrations of a service with their health: Consul's health endpoint, read as consul-template reads it.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde::Deserialize;
use serde_json::Value;

use super::client::Consul;
use crate::fleet::address::GatewayAddress;
use crate::fleet::registration::{Registration, Registrations};
use crate::parse;

/// Permissions that the token needs to read all registrations.
const READ: &str = "service:read on the service and node:read on its nodes";

impl Consul {
    /// Returns all registrations of a service that have all of `tags`, whatever their health, in one datacenter (default:
    /// the agent's). The result equals that of the templates' query `service "<name>|any"`.
    ///
    /// # Errors
    /// The agent cannot be reached or rejects the request, or the token cannot read all registrations.
    pub(crate) fn registrations(
        &self,
        service: &str,
        datacenter: Option<&str>,
        tags: &[String],
    ) -> anyhow::Result<Registrations> {
        let mut all = Registrations::default();
        for entry in self.entries(service, datacenter)? {
            match entry {
                Ok(instance) if instance.service.has_all(tags) => all.push(Ok(instance.into())),
                Ok(_) => {}
                Err(error) => all.push(Err(format!("an entry of {}: {error}", self.agent()))),
            }
        }
        Ok(all)
    }

    /// Returns the entries of a service. An entry that this version cannot read does not hide the others.
    pub(super) fn entries(
        &self,
        service: &str,
        datacenter: Option<&str>,
    ) -> anyhow::Result<Vec<Result<Instance, String>>> {
        let mut url = self.path(&["v1", "health", "service", service]);
        if let Some(datacenter) = datacenter {
            url.query_pairs_mut().append_pair("dc", datacenter);
        }
        let response = self.send(self.client.get(url), READ)?;
        let filtered = response.headers().get("X-Consul-Results-Filtered-By-ACLs");
        ensure!(
            filtered.is_none_or(|value| value != "true"),
            "{} hides registrations of {service:?} from this token, so the members are not known; \
             it needs {READ}",
            self.agent()
        );
        let found: Vec<Value> = response.json(&self.agent())?;
        Ok(found.into_iter().map(|entry| parse::value("", entry)).collect())
    }
}

/// One entry of `/v1/health/service/<name>`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Instance {
    pub(super) node: Node,
    pub(super) service: InstanceService,
    /// Null if there are none.
    checks: Option<Vec<CheckStatus>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Node {
    pub(super) node: String,
    pub(super) address: String,
    #[serde(default)]
    pub(super) datacenter: String,
}

/// Consul's check of an agent by the others.
const AGENT_CHECK: &str = "serfHealth";
/// Checks by which Consul marks a node, or a service, as in maintenance. Their status does not matter.
const NODE_MAINTENANCE: &str = "_node_maintenance";
const SERVICE_MAINTENANCE: &str = "_service_maintenance:";

#[derive(Deserialize)]
pub(super) struct InstanceService {
    #[serde(rename = "ID")]
    pub(super) id: String,
    #[serde(rename = "Address")]
    address: String,
    /// Omitted by Consul if it is 0.
    #[serde(rename = "Port", default)]
    port: i64,
    /// Null if the catalog has none, as is Meta.
    #[serde(rename = "Tags")]
    tags: Option<Vec<String>>,
    #[serde(rename = "Meta")]
    meta: Option<BTreeMap<String, String>>,
    /// Old versions of Consul have none.
    #[serde(rename = "Weights")]
    weights: Option<Weights>,
}

impl InstanceService {
    fn has_all(&self, tags: &[String]) -> bool {
        tags.iter().all(|tag| self.tags.as_ref().is_some_and(|found| found.contains(tag)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    #[serde(default)]
    passing: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CheckStatus {
    #[serde(rename = "CheckID", default)]
    check_id: String,
    status: String,
    #[serde(rename = "ServiceID", default)]
    service_id: String,
    #[serde(default)]
    create_index: u64,
}

impl CheckStatus {
    /// Returns whether the gateway can be on the ring, as consul-template aggregates the checks.
    fn is_passing(&self) -> bool {
        let maintenance = self.check_id == NODE_MAINTENANCE || self.check_id.starts_with(SERVICE_MAINTENANCE);
        self.status == "passing" && !maintenance
    }
}

impl Instance {
    fn checks(&self) -> &[CheckStatus] {
        self.checks.as_deref().unwrap_or_default()
    }

    /// Returns the address in its one spelling, or the reason why it is none.
    pub(super) fn address(&self) -> Result<GatewayAddress, String> {
        let own = &self.service.address;
        GatewayAddress::new(if own.is_empty() { &self.node.address } else { own }, self.service.port)
    }

    /// Returns whether the node has an agent that the others reach.
    pub(super) fn agent_is_alive(&self) -> bool {
        self.checks().iter().any(|check| check.check_id == AGENT_CHECK && check.status == "passing")
    }
}

impl Instance {
    pub(super) fn scheme(&self) -> Option<&str> {
        self.service.meta.as_ref()?.get("pushring-scheme").map(String::as_str)
    }

    pub(super) fn is_passing(&self) -> bool {
        self.checks().iter().all(CheckStatus::is_passing)
    }
}

impl From<Instance> for Registration {
    fn from(found: Instance) -> Self {
        // Only `passing` is on the ring; the other statuses are all equal.
        let status = if found.is_passing() { "passing" } else { "critical" };
        let own = found.checks().iter().filter(|check| check.service_id == found.service.id);
        let created = own.map(|check| check.create_index).collect();
        let Instance { node, service, .. } = found;
        let mut meta = service.meta.unwrap_or_default();
        Self {
            address: if service.address.is_empty() { node.address } else { service.address },
            port: service.port,
            status: status.to_owned(),
            weight: service.weights.map_or(1, |weights| weights.passing),
            name: meta.remove("pushring-name").unwrap_or_default(),
            scheme: meta.remove("pushring-scheme").unwrap_or_default(),
            node: node.node,
            id: service.id,
            leaving: meta.remove("pushring-leaving").is_some_and(|leaving| leaving == "true"),
            created,
        }
    }
}
