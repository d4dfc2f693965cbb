//! The groups that one gateway holds.

use std::sync::Arc;

use jiff::Timestamp;
use prost::bytes::Bytes;
use serde_json::value::RawValue;

use super::from_json;
use super::gateway_read::Listed;
use crate::gateway::api::{Labels, PUSH_FAILED, PUSH_TIME, Push, StoredGroup};
use crate::reason::Reason;

/// A Pushgateway adds this label to every metric that lacks it.
pub(super) const INSTANCE: &str = "instance";

/// One group on one gateway.
#[derive(Debug, Default)]
pub(super) struct HeldGroup {
    pub(super) labels: Labels,
    /// With the two that the gateway adds.
    pub(super) families: Families,
    pub(super) doubt: Option<Reason>,
    /// Time of the last accepted push, for families whose own time is not known.
    pub(super) pushed: Timestamp,
}

#[derive(Debug)]
pub(super) struct HeldFamily {
    pub(super) kind: &'static str,
    pub(super) help: Option<Arc<str>>,
    /// That of this group in the API; the exposition has one for all groups.
    pub(super) listed_help: Option<Arc<str>>,
    /// By the gateway's clock.
    pub(super) stamp: Timestamp,
    pub(super) metrics: Vec<Bytes>,
    pub(super) json: Option<Box<RawValue>>,
}

/// Families by name, sorted. A list, because the node of a map has room for eleven, and most groups have fewer.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<(Arc<str>, HeldFamily)>);

impl Families {
    pub(super) fn get(&self, name: &str) -> Option<&HeldFamily> {
        self.find(name).ok().map(|index| &self.0[index].1)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Adds or replaces a family.
    pub(super) fn insert(&mut self, name: Arc<str>, family: HeldFamily) {
        match self.find(&name) {
            Ok(index) => self.0[index].1 = family,
            Err(index) => self.0.insert(index, (name, family)),
        }
    }

    pub(super) fn get_or_insert_with(
        &mut self,
        name: &Arc<str>,
        new: impl FnOnce() -> HeldFamily,
    ) -> &mut HeldFamily {
        let index = self.find(name).unwrap_or_else(|index| {
            self.0.insert(index, (name.clone(), new()));
            index
        });
        &mut self.0[index].1
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<HeldFamily> {
        self.find(name).ok().map(|index| self.0.remove(index).1)
    }

    /// Keeps the families for which `keep` is true, and the memory that they need.
    pub(super) fn retain(&mut self, keep: impl Fn(&Arc<str>, &HeldFamily) -> bool) {
        self.0.retain(|(name, family)| keep(name, family));
        self.0.shrink_to_fit();
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| (**other).cmp(name))
    }
}

impl IntoIterator for Families {
    type Item = (Arc<str>, HeldFamily);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl HeldFamily {
    pub(super) fn empty(kind: &'static str, stamp: Timestamp) -> Self {
        Self { kind, help: None, listed_help: None, stamp, metrics: Vec::new(), json: None }
    }

    pub(super) fn push(&mut self, metric: Bytes) {
        // Most families have one in each group, for which a list that grows would take room for four.
        if self.metrics.is_empty() {
            self.metrics.reserve_exact(1);
        }
        self.metrics.push(metric);
    }
}

/// Returns the labels of a group from those of its exposed metrics. An empty instance was most likely added.
pub(super) fn without_empty_instance(mut labels: Labels) -> Labels {
    if labels.get(INSTANCE).is_some_and(String::is_empty) {
        labels.remove(INSTANCE);
    }
    labels
}

/// Converts a group of a poisoned gateway, which has no exposition.
pub(super) fn from_api(group: StoredGroup<Listed>) -> HeldGroup {
    let mut families = Families::default();
    let own = [
        (PUSH_TIME, group.pushed, from_json::PUSH_TIME_HELP),
        (PUSH_FAILED, group.rejected, from_json::PUSH_FAILED_HELP),
    ];
    for (name, push, help) in own {
        let Some(Push { time_stamp, seconds }) = push else { continue };
        let metrics = vec![from_json::gauge(&group.labels, seconds)];
        families.insert(
            Arc::from(name),
            HeldFamily { help: Some(help.into()), metrics, ..HeldFamily::empty("GAUGE", time_stamp) },
        );
    }
    for (name, family) in group.families {
        let kind = kind(&family.kind);
        let json = family.metrics.json;
        // A type that JSON does not carry is left out, rather than shown wrong.
        let Some(metrics) = json.as_deref().and_then(|json| from_json::metrics(kind, json)) else { continue };
        let help = family.help.map(Arc::from);
        families.insert(
            name.into(),
            HeldFamily {
                help: help.clone(),
                listed_help: help,
                metrics,
                json,
                ..HeldFamily::empty(kind, family.time_stamp)
            },
        );
    }
    let pushed = group.pushed.map_or(Timestamp::UNIX_EPOCH, |push| push.time_stamp);
    HeldGroup { labels: group.labels, families, doubt: group.ambiguity, pushed }
}

/// Returns the name of a type of the API.
pub(super) fn kind(name: &str) -> &'static str {
    ["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM"]
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or_default()
}
