//! The cluster file: which clusters are in it, and since when those that left are not needed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::live::Live;

/// The note with the times of leaving.
const NOTE: &str = "left.json";

/// A cluster file (CDS). What a cluster is made of is passed on as it is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Clusters {
    resources: Vec<Value>,
}

impl Clusters {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let clusters: Self = serde_saphyr::from_str(text)?;
        for (index, cluster) in clusters.resources.iter().enumerate() {
            cluster["name"].as_str().with_context(|| format!("resources[{index}]: found no name"))?;
        }
        Ok(clusters)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().filter_map(|cluster| cluster["name"].as_str())
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }

    /// These clusters, and those of `other` that are named in `kept`.
    pub(super) fn with(mut self, other: &Self, kept: &[String]) -> Self {
        let stays = |cluster: &&Value| kept.iter().any(|name| cluster["name"] == **name);
        self.resources.extend(other.resources.iter().filter(stays).cloned());
        self
    }

    /// Whether Envoy would see no difference.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let by_name = |clusters: &Self| -> BTreeMap<String, Value> {
            clusters.names().map(str::to_owned).zip(clusters.resources.iter().cloned()).collect()
        };
        by_name(self) == by_name(other)
    }

    pub(super) fn to_text(&self) -> anyhow::Result<String> {
        Ok(serde_saphyr::to_string(self)?)
    }
}

/// When each cluster that left was last on the ring, in milliseconds since 1970. Kept on disk, because a
/// publication is a process of its own.
pub(super) struct Left {
    since: BTreeMap<String, u64>,
    on_disk: BTreeMap<String, u64>,
    now: u64,
}

impl Left {
    /// A note that is missing or unreadable counts as empty: clusters stay longer then, never shorter.
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
