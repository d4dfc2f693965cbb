//! What a gateway holds: which groups, by its API; with which values, by its exposition.
//!
//! The API knows which metric belongs to which group, but not every value; the exposition has every value as it is,
//! but not the groups. All labels of a metric, which no two metrics of a family share, lead from one to the other. The
//! times of a group's last pushes, which both have, tell whether both show it in the same state.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::thread;

use anyhow::{Context, anyhow};
use prost::bytes::Bytes;
use serde::Deserialize;

use crate::gateway::api::{Family, Labels, StoredGroup};
use crate::gateway::client::{Gateway, Status};
use crate::gateway::clock::Clock;
use crate::gateway::exposition;
use crate::gateway::push_times::{GatewayPushTimes, PushTimes, reject_future_timestamps};

const ADVICE: &str =
    "its exposition, which has the values (if groups on it conflict, delete one of them first)";

/// A group as the API tells it, with the series of its families.
pub(super) type ListedGroup = StoredGroup<Vec<Series>>;

/// Groups by their labels. One of which the labels cannot be told is filed under none.
pub(super) type Groups = BTreeMap<Labels, ListedGroup>;

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
        Self::from(&metric.labels)
    }
}

impl From<&Labels> for Series {
    fn from(labels: &Labels) -> Self {
        // No UTF-8 text has 0xFF.
        let parts = labels.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        Self(parts.collect::<Vec<_>>().join(&0xff).into())
    }
}

/// Everything that one gateway holds.
#[derive(Debug)]
pub(super) struct GatewayState {
    pub(super) start_time: String,
    pub(super) clock: Clock,
    /// Its groups, by the API.
    pub(super) groups: Groups,
    /// All families of the exposition by name, the gateway's own too.
    pub(super) exposed: HashMap<String, Exposed>,
    /// When each group was pushed last, by the exposition.
    pub(super) push_times: GatewayPushTimes,
    /// Types of each family, and how many groups have it as that; 1 where only the exposition has it.
    pub(super) kinds: HashMap<String, BTreeMap<String, usize>>,
}

/// A family of the exposition.
#[derive(Debug)]
pub(super) struct Exposed {
    pub(super) kind: &'static str,
    /// Its metrics as they came.
    pub(super) metrics: HashMap<Series, Bytes>,
}

impl GatewayState {
    /// Reads both at the same time: see [`GatewayState::agrees`]. Groups that the API told before are not asked for again.
    pub(super) fn read(gateway: &Gateway, told: Option<Groups>) -> anyhow::Result<Self> {
        let status = gateway.status()?;
        let (exposed, groups) = thread::scope(|scope| {
            let exposed = scope.spawn(|| expose(gateway.exposition().context(ADVICE)?));
            let groups = told.map_or_else(|| ask(gateway), Ok);
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

    /// Whether the API and the exposition show a group in the same state, or both none: nobody pushed between the two.
    pub(super) fn agrees(&self, labels: &Labels) -> bool {
        let told = self.groups.get(labels).map(PushTimes::of);
        told.is_none_or(|told| told.is_some()) && told.flatten() == self.push_times.get(labels)
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

fn ask(gateway: &Gateway) -> anyhow::Result<Groups> {
    let groups: Vec<ListedGroup> = gateway.groups_with()?;
    Ok(groups.into_iter().map(|group| (group.labels.clone(), group)).collect())
}

fn expose(reader: impl Read) -> anyhow::Result<(HashMap<String, Exposed>, GatewayPushTimes)> {
    let mut all = HashMap::new();
    let families = exposition::families(reader).map(|family| {
        let family = family?;
        let metrics =
            family.metrics().map(|metric| metric.map(|metric| (Series::from(&metric.labels), metric.raw)));
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

    /// Group `{job="j"}` pushed at these seconds: by the API, by the exposition; `None`: not there.
    fn holding(told: Option<u8>, exposed: Option<u8>) -> GatewayState {
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
        let groups = told.map(|pushed| serde_json::from_str::<ListedGroup>(&group(pushed)).unwrap());
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
        GatewayState::of(status, expose(write(&families.unwrap_or_default()).as_slice()).unwrap(), groups)
    }

    #[test]
    fn both_must_show_the_same_last_push() {
        let labels = Labels::from([("job".to_owned(), "j".to_owned())]);
        for (told, exposed, agree) in [
            (Some(7), Some(7), true),
            (Some(7), Some(8), false),
            (Some(7), None, false),
            (None, Some(7), false),
            (None, None, true),
        ] {
            assert_eq!(holding(told, exposed).agrees(&labels), agree, "{told:?} {exposed:?}");
        }
    }
}
