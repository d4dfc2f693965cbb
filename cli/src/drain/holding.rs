//! What a gateway holds: which groups, by its API; with which values, by its exposition.
//!
//! The API knows which metric belongs to which group, but not every value; the exposition has every value as it is,
//! but not the groups. All labels of a metric, which no two metrics of a family share, lead from one to the other.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use anyhow::Context;
use prost::bytes::Bytes;
use serde::Deserialize;

use crate::exposition;
use crate::gateway::clock::Clock;
use crate::gateway::{Family, Gateway, Group, Labels};

/// A group as the API tells it, with the series of its families.
pub(super) type Told = Group<Vec<Series>>;

/// All labels of a metric in one string: less memory than a map, and what maps are indexed by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(from = "Metric")]
pub(super) struct Series(Box<[u8]>);

#[derive(Deserialize)]
struct Metric {
    labels: Labels,
}

impl From<Metric> for Series {
    fn from(metric: Metric) -> Self {
        // No UTF-8 text has 0xFF.
        let parts = metric.labels.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        Self(parts.collect::<Vec<_>>().join(&0xff).into())
    }
}

/// Everything that one gateway holds.
#[derive(Debug)]
pub(super) struct Holding {
    /// Which process answered.
    pub(super) start_time: String,
    /// Its clock against ours.
    pub(super) clock: Clock,
    /// Its groups. One of which the labels cannot be told is filed under none.
    pub(super) groups: BTreeMap<Labels, Told>,
    /// All families of the exposition by name, the gateway's own too.
    pub(super) exposed: HashMap<String, Exposed>,
    /// Types of each family, and how many groups have it as that; one more where the gateway has it of itself.
    pub(super) kinds: HashMap<String, BTreeMap<String, usize>>,
}

/// A family of the exposition.
#[derive(Debug)]
pub(super) struct Exposed {
    /// `COUNTER`, `GAUGE`, …
    pub(super) kind: &'static str,
    /// Its metrics as they came.
    pub(super) metrics: HashMap<Series, Bytes>,
}

impl Holding {
    /// Reads the exposition, then the API: a family that the API tells is at least as new as the values.
    pub(super) fn read(gateway: &Gateway) -> anyhow::Result<Self> {
        let status = gateway.status()?;
        let exposed = expose(gateway.exposition()?)?;
        let groups: Vec<Told> = gateway.groups_with()?;
        let groups = groups.into_iter().map(|group| (group.labels.clone(), group)).collect();
        let kinds = kinds(&groups, &exposed);
        Ok(Self { start_time: status.start_time, clock: status.clock, groups, exposed, kinds })
    }

    /// The same with the API read before and after: a group that was pushed to meanwhile gets a doubt, because the
    /// values may be those before or after.
    pub(super) fn read_settled(gateway: &Gateway) -> anyhow::Result<Self> {
        let before: Vec<Told> = gateway.groups_with()?;
        let before: BTreeMap<_, _> = before.into_iter().map(|group| (group.labels.clone(), group)).collect();
        let mut holding = Self::read(gateway)?;
        for (labels, group) in &mut holding.groups {
            let same = before.get(labels).is_some_and(|before| stamps(before).eq(stamps(group)));
            if !same && group.doubt.is_none() {
                group.doubt = Some("it was pushed to while it was read; run again".to_owned());
            }
        }
        Ok(holding)
    }

    /// The metrics of a family of one of its groups, as they came. `None` when the exposition lacks one of them.
    pub(super) fn values(
        &self,
        name: &str,
        family: &Family<Vec<Series>>,
    ) -> Option<BTreeMap<&Series, &Bytes>> {
        let exposed = self.exposed.get(name).filter(|exposed| exposed.kind == family.kind);
        let value = |series| exposed?.metrics.get_key_value(series);
        family.metrics.iter().map(value).collect()
    }
}

/// When each family of a group was pushed, and the group itself.
fn stamps(group: &Told) -> impl Iterator<Item = (&str, jiff::Timestamp)> {
    let own = [group.pushed, group.refused].into_iter().flatten().map(|push| ("", push.time_stamp));
    group.families.iter().map(|(name, family)| (name.as_str(), family.time_stamp)).chain(own)
}

fn expose(reader: impl Read) -> anyhow::Result<HashMap<String, Exposed>> {
    let mut families = HashMap::new();
    for family in exposition::families(reader) {
        let family = family?;
        let metrics = family.metrics().map(|metric| {
            let metric = metric?;
            anyhow::Ok((Series::from(Metric { labels: metric.labels }), metric.raw))
        });
        let metrics = metrics.collect::<anyhow::Result<_>>().context("the exposition")?;
        families.insert(family.name().to_owned(), Exposed { kind: family.kind(), metrics });
    }
    Ok(families)
}

fn kinds(
    groups: &BTreeMap<Labels, Told>,
    exposed: &HashMap<String, Exposed>,
) -> HashMap<String, BTreeMap<String, usize>> {
    let mut kinds: HashMap<String, BTreeMap<String, usize>> = HashMap::new();
    for (name, family) in groups.values().flat_map(|group| &group.families) {
        *kinds.entry(name.clone()).or_default().entry(family.kind.clone()).or_default() += 1;
    }
    for (name, family) in exposed {
        let own = || BTreeMap::from([(family.kind.to_owned(), 1)]);
        kinds.entry(name.clone()).or_insert_with(own);
    }
    kinds
}
