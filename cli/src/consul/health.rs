//! The registrations of a service with their health: Consul's health endpoint, read as consul-template reads it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use reqwest::Url;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::client::Consul;
use super::leaving::LEAVING;
use crate::fleet::address::GatewayAddress;
use crate::fleet::registration::{Registration, Registrations, shown};
use crate::http::Answer;
use crate::parse;

/// Permissions that the token needs to read all registrations.
const READ: &str = "service:read on the service and node:read on its nodes";

/// How long the agent may hold a request until something changes. An agent that hangs is noticed after it.
const WAIT: Duration = Duration::from_secs(20);
/// Time beyond [`WAIT`]: Consul adds up to a sixteenth, so that not all clients return at once.
const BEYOND: Duration = Duration::from_secs(9);

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
        Ok(self.with_tags(self.entries(service, datacenter)?, tags))
    }

    /// As [`Consul::registrations`], with the index of the list for [`Consul::wait`].
    ///
    /// # Errors
    /// As [`Consul::registrations`], or the agent knows no leader: its list may be old.
    pub(crate) fn indexed_registrations(
        &self,
        service: &str,
        datacenter: Option<&str>,
        tags: &[String],
    ) -> anyhow::Result<(Registrations, u64)> {
        let answer = self.send(self.client.get(self.list(service, datacenter)), READ)?;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        ensure!(
            header("X-Consul-KnownLeader") != Some("false"),
            "{} knows no leader, so its list may be old",
            self.agent()
        );
        // Consul does not wait for the index 0.
        let index = header("X-Consul-Index").and_then(|index| index.parse().ok()).unwrap_or(0).max(1);
        Ok((self.with_tags(self.read_entries(service, answer)?, tags), index))
    }

    /// Waits until the list of a service may have another index, at most half a minute.
    ///
    /// The answer itself has a list, too, which is not used: agents that stream changes leave out whether they know a leader
    /// and whether the token sees everything.
    ///
    /// # Errors
    /// The agent cannot be reached or rejects the request.
    pub(crate) fn wait(&self, service: &str, datacenter: Option<&str>, index: u64) -> anyhow::Result<()> {
        let mut url = self.list(service, datacenter);
        let wait = format!("{}s", WAIT.as_secs());
        url.query_pairs_mut().append_pair("index", &index.to_string()).append_pair("wait", &wait);
        let answer = self.ask_within(self.client.get(url), WAIT + BEYOND)?;
        self.accept(answer, READ).map(drop)
    }

    fn with_tags(&self, entries: Vec<Result<Instance, String>>, tags: &[String]) -> Registrations {
        let mut all = Registrations::default();
        for entry in entries {
            match entry {
                Ok(instance) if instance.service.has_all(tags) => all.push(Ok(instance.into())),
                Ok(_) => {}
                Err(error) => all.push(Err(format!("an entry of {}: {error}", self.agent()))),
            }
        }
        all
    }

    /// Returns the entries of a service. An entry that this version cannot read does not hide the others.
    pub(super) fn entries(
        &self,
        service: &str,
        datacenter: Option<&str>,
    ) -> anyhow::Result<Vec<Result<Instance, String>>> {
        let answer = self.send(self.client.get(self.list(service, datacenter)), READ)?;
        self.read_entries(service, answer)
    }

    /// Returns the URL of a consistent read. With any other one, a leader that just started answers from its log, which it has
    /// not applied to the end: with the members of earlier.
    fn list(&self, service: &str, datacenter: Option<&str>) -> Url {
        let mut url = self.path(&["v1", "health", "service", service]);
        url.set_query(Some("consistent"));
        if let Some(datacenter) = datacenter {
            url.query_pairs_mut().append_pair("dc", datacenter);
        }
        url
    }

    fn read_entries(&self, service: &str, answer: Answer) -> anyhow::Result<Vec<Result<Instance, String>>> {
        let filtered = answer.headers().get("X-Consul-Results-Filtered-By-ACLs");
        ensure!(
            filtered.is_none_or(|value| value != "true"),
            "{} hides registrations of {service:?} from this token, so the members are not known; \
             it needs {READ}",
            self.agent()
        );
        let found: Vec<Entry> = answer.json(&self.agent())?;
        Ok(found.into_iter().map(|Entry(entry)| entry).collect())
    }
}

/// An entry, or why this version cannot read it. Only one at a time is a tree, which takes ten times the memory.
struct Entry(Result<Instance, String>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Instance::read(Value::deserialize(deserializer)?)))
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
    /// Empty or missing for an ordinary service.
    #[serde(rename = "Kind", default)]
    kind: String,
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
    fn is_leaving(&self) -> bool {
        self.meta.as_ref().and_then(|meta| meta.get(LEAVING)).is_some_and(|leaving| leaving == "true")
    }

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
    /// Reads an entry; the error says why it can be no Pushgateway. A proxy of the service mesh may have the name of the service
    /// that it stands for.
    fn read(entry: Value) -> Result<Self, String> {
        let instance: Self = parse::value("", entry)?;
        let InstanceService { kind, id, .. } = &instance.service;
        if kind.is_empty() {
            return Ok(instance);
        }
        let (id, node, kind) = (shown(id), shown(&instance.node.node), shown(kind));
        Err(format!("{id} on {node}: Kind: found {kind:?}, expected none; it is no Pushgateway"))
    }

    fn checks(&self) -> &[CheckStatus] {
        self.checks.as_deref().unwrap_or_default()
    }

    /// Returns the address in its one spelling, or the reason why it is none.
    pub(super) fn address(&self) -> Result<GatewayAddress, String> {
        let own = &self.service.address;
        GatewayAddress::new(if own.is_empty() { &self.node.address } else { own }, self.service.port)
    }

    /// Returns its ID if it says that it leaves.
    pub(super) fn leaving_id(self) -> Option<String> {
        self.service.is_leaving().then_some(self.service.id)
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
        let leaving = service.is_leaving();
        let mut meta = service.meta.unwrap_or_default();
        Self {
            address: if service.address.is_empty() { node.address } else { service.address },
            port: service.port,
            status: status.to_owned(),
            weight: service.weights.map_or(1, |weights| weights.passing),
            name: meta.remove("pushring-name").unwrap_or_default(),
            scheme: meta.remove("pushring-scheme").unwrap_or_default(),
            node: node.node,
            datacenter: node.datacenter,
            id: service.id,
            leaving,
            created,
        }
    }
}
