//! The file of what pushes go to (clusters or endpoints): what is in it, and since when that which left is not needed.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use pushring_router::Mode;
use serde_json::Value;

use super::live::Live;
use super::{CLUSTERS_FILE, ENDPOINTS_FILE};

/// The note with the times of leaving.
const NOTE: &str = "left.json";

/// What a push goes to. Its name is what the ring has for it: the cluster's name, or the address of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cluster,
    Endpoint,
}

impl Kind {
    /// `None`: in redirect mode no push goes anywhere.
    pub(super) fn of(mode: Mode) -> Option<Self> {
        match mode {
            Mode::Cluster => Some(Self::Cluster),
            Mode::Endpoint => Some(Self::Endpoint),
            Mode::Redirect => None,
        }
    }

    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Cluster => CLUSTERS_FILE,
            Self::Endpoint => ENDPOINTS_FILE,
        }
    }

    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
        }
    }

    /// Where the list is in the file (RFC 6901).
    fn list_at(self) -> &'static str {
        match self {
            Self::Cluster => "/resources",
            Self::Endpoint => "/resources/0/endpoints/0/lb_endpoints",
        }
    }

    fn name_of(self, item: &Value) -> Option<String> {
        match self {
            Self::Cluster => item["name"].as_str().map(str::to_owned),
            Self::Endpoint => address(&item["endpoint"]["address"]),
        }
    }
}

/// Envoy's `Address` as the ring writes it.
pub(crate) fn address(address: &Value) -> Option<String> {
    let socket = &address["socket_address"];
    let ip: IpAddr = socket["address"].as_str()?.parse().ok()?;
    let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
    Some(SocketAddr::new(ip, port).to_string())
}

/// A cluster file (CDS), or an endpoint file (EDS) with one list. What an item is made of is passed on as it is.
#[derive(Clone, Debug)]
pub(super) struct Upstreams {
    kind: Kind,
    document: Value,
    names: Vec<String>,
}

impl Upstreams {
    /// A file without any resource has an empty list.
    pub(super) fn parse(kind: Kind, text: &str) -> anyhow::Result<Self> {
        let document: Value = serde_saphyr::from_str(text)?;
        let empty = document["resources"].as_array().is_some_and(Vec::is_empty);
        let at = kind.list_at();
        ensure!(empty || document.pointer(at).is_some_and(Value::is_array), "found no list at {at}");
        let mut names = Vec::new();
        for (index, item) in list(&document, kind).iter().enumerate() {
            let name = kind.name_of(item);
            names.push(name.with_context(|| format!("{at}/{index}: found no name or address"))?);
        }
        Ok(Self { kind, document, names })
    }

    pub(super) fn empty(kind: Kind) -> Self {
        Self { kind, document: Value::Null, names: Vec::new() }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    pub(super) fn names_not_in(&self, others: &Self) -> Vec<String> {
        self.names.iter().filter(|name| !others.contains(name)).cloned().collect()
    }

    /// These, and those of `other` that are named in `kept`.
    pub(super) fn with(mut self, other: &Self, kept: &[String]) -> Self {
        let Some(Value::Array(own)) = self.document.pointer_mut(self.kind.list_at()) else { return self };
        for (name, item) in other.by_name().into_iter().filter(|(name, _)| kept.iter().any(|k| k == name)) {
            own.push(item.clone());
            self.names.push(name.to_owned());
        }
        self
    }

    /// Whether Envoy would see no difference.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.by_name() == other.by_name()
    }

    pub(super) fn to_text(&self) -> anyhow::Result<String> {
        Ok(serde_saphyr::to_string(&self.document)?)
    }

    fn by_name(&self) -> BTreeMap<&str, &Value> {
        self.names.iter().map(String::as_str).zip(list(&self.document, self.kind)).collect()
    }
}

fn list(document: &Value, kind: Kind) -> &[Value] {
    document.pointer(kind.list_at()).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// When each one that left was last on the ring, in milliseconds since 1970. Kept on disk, because a
/// publication is a process of its own.
pub(super) struct Left {
    since: BTreeMap<String, u64>,
    on_disk: BTreeMap<String, u64>,
    now: u64,
}

impl Left {
    /// A note that is missing or unreadable counts as empty: what left stays longer then, never shorter.
    pub(super) fn read(live: &Live, now: SystemTime) -> Self {
        let on_disk: BTreeMap<String, u64> =
            live.read_note(NOTE).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let now = since_1970(now);
        // A time in the future means that the clock was put back; counting starts again.
        let since = on_disk.iter().map(|(name, since)| (name.clone(), now.min(*since))).collect();
        Self { since, on_disk, now }
    }

    pub(super) fn for_at_least(&self, name: &str, grace: Duration) -> bool {
        let since = self.since.get(name);
        since.is_some_and(|since| u128::from(self.now - since) >= grace.as_millis())
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&String) -> bool) {
        self.since.retain(|name, _| keep(name));
    }

    pub(super) fn add<'n>(&mut self, names: impl Iterator<Item = &'n String>, now: SystemTime) {
        for name in names {
            self.since.entry(name.clone()).or_insert(since_1970(now));
        }
    }

    /// Writes the note if it changed.
    pub(super) fn write(&mut self, live: &Live) -> anyhow::Result<()> {
        if self.since != self.on_disk {
            live.write_note(NOTE, &serde_json::to_string(&self.since)?)?;
            self.on_disk.clone_from(&self.since);
        }
        Ok(())
    }
}

fn since_1970(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map(crate::output::millis).unwrap_or_default()
}
