//! EndpointSlices as the API server lists them, and as events of a watch.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::scale::TERMINATING;

use crate::kubernetes::client::Failure;
use crate::parse;
use crate::text;

/// The slices of a service by their names, and the version of the store at which they were so.
#[derive(Clone, Debug, Default)]
pub(super) struct Slices {
    pub(super) by_name: BTreeMap<String, Slice>,
    pub(super) version: String,
}

/// The parts of an EndpointSlice that matter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Slice {
    pub(super) address_type: AddressType,
    #[serde(default)]
    ports: Option<Vec<Port>>,
    /// For one that cannot be read, the reason.
    #[serde(default, deserialize_with = "endpoints")]
    pub(super) endpoints: Vec<Result<Endpoint, String>>,
}

/// In the order in which they are preferred for a pod that has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) enum AddressType {
    IPv4,
    IPv6,
    #[serde(rename = "FQDN")]
    Fqdn,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Port {
    /// Empty or null if the service has one port only.
    #[serde(default)]
    name: Option<String>,
    /// Null: all ports.
    #[serde(default)]
    port: Option<i64>,
    /// Null: TCP.
    #[serde(default)]
    protocol: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoint {
    /// Several of one endpoint are interchangeable; Kubernetes itself uses the first.
    pub(super) addresses: Vec<String>,
    #[serde(default)]
    conditions: Option<Conditions>,
    #[serde(default)]
    pub(super) hostname: Option<String>,
    #[serde(default)]
    pub(super) node_name: Option<String>,
    #[serde(default)]
    pub(super) target_ref: Option<TargetRef>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct TargetRef {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) uid: Option<String>,
}

/// Null conditions mean what the API says: ready and serving unless false, not terminating unless true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

impl Endpoint {
    /// Returns `passing` or the reason against it. A service with `publishNotReadyAddresses` calls every endpoint ready; its
    /// other conditions are right.
    pub(super) fn status(&self) -> &'static str {
        let Conditions { ready, serving, terminating } = self.conditions.clone().unwrap_or_default();
        match (terminating, ready, serving) {
            (Some(true), ..) => TERMINATING,
            (_, Some(false), _) | (.., Some(false)) => "not-ready",
            _ => "passing",
        }
    }
}

impl Slice {
    /// Returns the port with a name, or the only one.
    pub(super) fn port(&self, name: Option<&str>) -> Result<i64, String> {
        let tcp = |port: &&Port| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
        let ports: Vec<&Port> = self.ports.iter().flatten().filter(tcp).collect();
        let name_of = |port: &&Port| port.name.clone().unwrap_or_default();
        let found = match (name, ports.as_slice()) {
            (None, [only]) => Some(only),
            (None, [_, _, ..]) => {
                let names: Vec<String> = ports.iter().map(name_of).collect();
                return Err(format!("several ports ({}): pass --port-name", text::line(&names.join(", "))));
            }
            (None, []) => None,
            (Some(name), ports) => ports.iter().find(|port| name_of(port) == name),
        };
        found.and_then(|port| port.port).ok_or_else(|| match name {
            Some(name) => format!("no TCP port named {name:?}; the service must have one"),
            None => "no TCP port; the service must have one".to_owned(),
        })
    }
}

/// A change of the slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A slice was added, changed or deleted.
    Slices,
    /// Only the version is newer.
    None,
}

#[derive(Deserialize)]
struct List {
    kind: String,
    metadata: ListMetadata,
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
    #[serde(rename = "continue", default)]
    rest: String,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    #[serde(flatten)]
    rest: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    resource_version: String,
}

#[derive(Deserialize)]
struct WatchEvent {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl Slices {
    /// Reads the answer to a list.
    ///
    /// # Errors
    /// It is no whole list: never read as an empty one.
    pub(super) fn of_list(list: Value) -> anyhow::Result<Self> {
        let list: List = read("a list of EndpointSlices", list)?;
        ensure!(list.kind == "EndpointSliceList", "found a {:?}, expected an EndpointSliceList", list.kind);
        ensure!(
            list.metadata.rest.is_empty(),
            "found a part of the list of EndpointSlices, expected all of it"
        );
        let items = list.items.unwrap_or_default().into_iter();
        let by_name = items.map(|item| Ok((item.metadata.name, slice(item.rest)?)));
        Ok(Self { by_name: by_name.collect::<anyhow::Result<_>>()?, version: list.metadata.resource_version })
    }

    /// Applies a line of a watch.
    ///
    /// # Errors
    /// [`Failure`]: the server ended the watch by it. Any other error: it is no event of a watch.
    pub(super) fn apply(&mut self, line: &[u8]) -> anyhow::Result<Change> {
        let event = std::str::from_utf8(line).context("not an event of a watch")?;
        let event: WatchEvent =
            parse::json(event).map_err(|error| anyhow!("not an event of a watch: {error}"))?;
        if event.kind == "ERROR" {
            return Err(read::<Failure>("an error of a watch", event.object)?.into());
        }
        let item: Item = read("the object of a watch", event.object)?;
        let change = match event.kind.as_str() {
            "ADDED" | "MODIFIED" => {
                let new = slice(item.rest)?;
                let old = self.by_name.insert(item.metadata.name, new.clone());
                if old.as_ref() == Some(&new) { Change::None } else { Change::Slices }
            }
            "DELETED" => match self.by_name.remove(&item.metadata.name) {
                Some(_) => Change::Slices,
                None => Change::None,
            },
            "BOOKMARK" => Change::None,
            other => {
                bail!("found a watch event {other:?}, expected ADDED, MODIFIED, DELETED, BOOKMARK or ERROR")
            }
        };
        self.version = item.metadata.resource_version;
        Ok(change)
    }
}

/// Reads each endpoint alone: a bad one must not hide the others.
fn endpoints<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<Result<Endpoint, String>>, D::Error> {
    let read = |endpoint: Value| {
        Endpoint::deserialize(endpoint).map_err(|error| text::line(&error.to_string()).into_owned())
    };
    Ok(Option::<Vec<Value>>::deserialize(list)?.into_iter().flatten().map(read).collect())
}

fn slice(value: Value) -> anyhow::Result<Slice> {
    read("an EndpointSlice", value)
}

fn read<T: DeserializeOwned>(what: &str, value: Value) -> anyhow::Result<T> {
    parse::value("", value).map_err(|error| anyhow!("not {what}: {error}"))
}
