//! The contents of a gateway: its groups, from the API, and their values, from the exposition.
//!
//! The API assigns each metric to its group, but lacks some values; the exposition has all values, but no groups. The
//! labels of a metric, which are unique in its family, connect the two. Both have the times of a group's last pushes: if
//! these are equal, both show the group in the same state.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::thread;

use anyhow::{Context, anyhow};
use prost::bytes::Bytes;
use serde::Deserialize;

use crate::gateway::api::{self, Family, Labels, StoredGroup};
use crate::gateway::client::{Gateway, Status};
use crate::gateway::clock::Clock;
use crate::gateway::exposition;
use crate::gateway::push_times::{GatewayPushTimes, PushTimes, reject_future_timestamps};
use crate::memory;

const ADVICE: &str =
    "its exposition, which has the values (if its groups conflict, delete one of them first)";

/// A group as the API lists it, with the series of its families.
pub(crate) type ListedGroup = StoredGroup<Vec<Series>>;

/// Groups by labels. The key of a group with unknown labels is empty.
pub(crate) type Groups = BTreeMap<Labels, ListedGroup>;

/// All labels of a metric in one string: a map key that needs less memory than a map.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Metric")]
pub(crate) struct Series(Box<[u8]>);

#[derive(Deserialize)]
struct Metric {
    #[serde(deserialize_with = "api::labels")]
    labels: Labels,
}

impl TryFrom<Metric> for Series {
    type Error = memory::Full;

    fn try_from(metric: Metric) -> Result<Self, memory::Full> {
        let series = Self::from(&metric.labels);
        memory::refund(memory::of_labels(&metric.labels));
        series.charge()?;
        Ok(series)
    }
}

impl Series {
    /// Charges the key, in a list that doubles its size when it is full.
    fn charge(&self) -> Result<(), memory::Full> {
        memory::charge(2 * size_of::<Self>() + 16 + self.0.len())
    }
}

impl From<&Labels> for Series {
    fn from(labels: &Labels) -> Self {
        // No UTF-8 text has 0xFF.
        let parts = labels.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        Self(parts.collect::<Vec<_>>().join(&0xff).into())
    }
}

/// The contents of one gateway.
#[derive(Debug)]
pub(crate) struct GatewayState {
    pub(crate) start_time: String,
    pub(crate) clock: Clock,
    /// Groups, from the API.
    pub(crate) groups: Groups,
    /// All families of the exposition by name, including the gateway's own.
    pub(crate) exposed: HashMap<String, Exposed>,
    /// Times of the last pushes to each group, from the exposition.
    pub(crate) push_times: GatewayPushTimes,
    /// Types of each family, with the number of groups; 1 if only the exposition has the family.
    pub(crate) kinds: HashMap<String, BTreeMap<String, usize>>,
}

/// A family of the exposition.
#[derive(Debug)]
pub(crate) struct Exposed {
    pub(crate) kind: &'static str,
    /// The encoded metrics.
    pub(crate) metrics: HashMap<Series, Bytes>,
}

impl GatewayState {
    /// Reads API and exposition at the same time, see [`GatewayState::agrees`]. Given `groups` replace the read of the API.
    pub(crate) fn read(gateway: &Gateway, groups: Option<Groups>) -> anyhow::Result<Self> {
        let status = gateway.status()?;
        let (exposed, groups) = thread::scope(|scope| {
            let exposed = scope.spawn(|| read_exposition(gateway.exposition().context(ADVICE)?));
            let groups = groups.map_or_else(|| read_groups(gateway), Ok);
            (exposed.join(), groups)
        });
        let exposed = exposed.map_err(|_| anyhow!("reading the exposition failed"))??;
        let mut groups = groups?;
        reject_future_timestamps(groups.values_mut(), &status.clock);
        Ok(Self::of(status, exposed, groups))
    }

    fn of(
        status: Status,
        (exposed, push_times): (HashMap<String, Exposed>, GatewayPushTimes),
        groups: Groups,
    ) -> Self {
        let kinds = kinds(&groups, &exposed);
        Self { start_time: status.start_time, clock: status.clock, groups, exposed, push_times, kinds }
    }

    /// Returns whether the API and the exposition show a group in the same state, or both show none: no push came in
    /// between.
    pub(crate) fn agrees(&self, labels: &Labels) -> bool {
        let listed = self.groups.get(labels).map(PushTimes::of);
        listed.is_none_or(|times| times.is_some()) && listed.flatten() == self.push_times.get(labels)
    }

    /// Returns the encoded metrics of a family of a group. `None` if the exposition lacks one of them.
    pub(crate) fn values(
        &self,
        name: &str,
        family: &Family<Vec<Series>>,
    ) -> Option<BTreeMap<&Series, &Bytes>> {
        let exposed = self.exposed.get(name).filter(|exposed| exposed.kind == family.kind);
        let value = |series| exposed?.metrics.get_key_value(series);
        family.metrics.iter().map(value).collect()
    }
}

fn read_groups(gateway: &Gateway) -> anyhow::Result<Groups> {
    let groups: Vec<ListedGroup> = gateway.groups_with()?;
    Ok(groups.into_iter().map(|group| (group.labels.clone(), group)).collect())
}

fn read_exposition(reader: impl Read) -> anyhow::Result<(HashMap<String, Exposed>, GatewayPushTimes)> {
    let mut all = HashMap::new();
    let families = exposition::families(reader).map(|family| {
        let family = family?;
        let metrics = family.metrics().map(|metric| {
            let metric = metric?;
            let series = Series::from(&metric.labels);
            series.charge()?;
            memory::charge(2 * size_of::<Bytes>() + metric.raw.len())?;
            Ok((series, metric.raw))
        });
        let exposed = Exposed { kind: family.kind(), metrics: metrics.collect::<anyhow::Result<_>>()? };
        all.insert(family.name().to_owned(), exposed);
        Ok(family)
    });
    let push_times = GatewayPushTimes::from_exposition(families)?;
    Ok((all, push_times))
}

fn kinds(groups: &Groups, exposed: &HashMap<String, Exposed>) -> HashMap<String, BTreeMap<String, usize>> {
    let mut kinds: HashMap<String, BTreeMap<String, usize>> = HashMap::new();
    for (name, family) in groups.values().flat_map(|group| &group.families) {
        *kinds.entry(name.clone()).or_default().entry(family.kind.clone()).or_default() += 1;
    }
    for (name, family) in exposed {
        kinds.entry(name.clone()).or_default().entry(family.kind.to_owned()).or_insert(1);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::exposition::write;

    /// A state with the group `{job="j"}` pushed at these seconds, by the API and by the exposition; `None`: no group.
    fn state(listed: Option<u8>, exposed: Option<u8>) -> GatewayState {
        let family = |value: u8| {
            format!(
                r#"{{"time_stamp":"2026-11-21T10:00:00Z","type":"GAUGE","metrics":[{{"labels":{{}},"value":"{value}"}}]}}"#
            )
        };
        let group = |pushed| {
            let (pushed, refused) = (family(pushed), family(0));
            format!(
                r#"{{"labels":{{"job":"j"}},"push_time_seconds":{pushed},"push_failure_time_seconds":{refused}}}"#
            )
        };
        let groups = listed.map(|pushed| serde_json::from_str::<ListedGroup>(&group(pushed)).unwrap());
        let groups = groups.map(|group| (group.labels.clone(), group)).into_iter().collect();
        let gauge = |name: &str, value: u8| {
            let labels = b"\x0a\x0c\x0a\x08instance\x12\0\x0a\x08\x0a\x03job\x12\x01j\x12\x09\x09";
            let raw = [labels.as_slice(), &f64::from(value).to_le_bytes()].concat();
            exposition::Family::new(name, "GAUGE", None, vec![raw.into()]).unwrap()
        };
        let families = exposed
            .map(|pushed| vec![gauge("push_time_seconds", pushed), gauge("push_failure_time_seconds", 0)]);
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let clock = Clock::new("Sat, 21 Nov 2026 10:00:00 GMT", now, now).unwrap();
        let status = Status { start_time: String::new(), clock };
        GatewayState::of(
            status,
            read_exposition(write(&families.unwrap_or_default()).as_slice()).unwrap(),
            groups,
        )
    }

    #[test]
    fn agrees_only_on_the_same_last_push() {
        let labels = Labels::from([("job".to_owned(), "j".to_owned())]);
        for (listed, exposed, agree) in [
            (Some(7), Some(7), true),
            (Some(7), Some(8), false),
            (Some(7), None, false),
            (None, Some(7), false),
            (None, None, true),
        ] {
            assert_eq!(state(listed, exposed).agrees(&labels), agree, "{listed:?} {exposed:?}");
        }
    }
}
