//! The time of the last push to each group of a gateway. It shows whether a group changed since it was last read in full.
//!
//! The API cannot return a single group, and a full response takes seconds if a gateway holds hundreds of thousands of
//! series. Every push sets one of the gateway's own two gauges, and the exposition, which has both, costs less than
//! the API. A poisoned gateway has no exposition; then the API is read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::api::{Labels, PUSH_FAILED, PUSH_TIME, StoredGroup};
use super::clock::Clock;
use super::exposition;
use crate::memory;
use crate::reason::Code;

/// The times of the last accepted and the last rejected push, bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PushTimes {
    pushed: u64,
    rejected: u64,
}

/// The push times of all groups of a gateway, from one read.
#[derive(Clone, Debug)]
pub(crate) struct GatewayPushTimes {
    /// Whether the keys are the labels of the exposition, in which every group has an `instance`.
    exposed: bool,
    /// `None` if two groups have the same labels there.
    groups: HashMap<Labels, Option<PushTimes>>,
}

impl PushTimes {
    fn new(pushed: f64, rejected: f64) -> Self {
        Self { pushed: pushed.to_bits(), rejected: rejected.to_bits() }
    }

    /// Returns the times that the API reports for a group. `None` if the gateway does not report them.
    pub(crate) fn of<M>(group: &StoredGroup<M>) -> Option<Self> {
        let (pushed, rejected) = (group.pushed?, group.rejected?);
        Some(Self::new(pushed.seconds, rejected.seconds))
    }
}

impl GatewayPushTimes {
    /// Returns the times of a group. `None` if it does not exist or is ambiguous.
    pub(crate) fn get(&self, labels: &Labels) -> Option<PushTimes> {
        if !self.exposed || labels.contains_key("instance") {
            return self.groups.get(labels).copied().flatten();
        }
        let mut exposed = labels.clone();
        exposed.insert("instance".to_owned(), String::new());
        self.groups.get(&exposed).copied().flatten()
    }

    pub(crate) fn from_api<M>(groups: &[StoredGroup<M>]) -> Self {
        let sure = groups.iter().filter(|group| group.ambiguity.is_none());
        Self {
            exposed: false,
            groups: sure.map(|group| (group.labels.clone(), PushTimes::of(group))).collect(),
        }
    }

    pub(crate) fn from_exposition(
        families: impl Iterator<Item = anyhow::Result<exposition::Family>>,
    ) -> anyhow::Result<Self> {
        let [pushed, rejected] = own_gauges(families)?;
        let mut groups = HashMap::new();
        for (labels, pushed) in pushed {
            let rejected = rejected.get(&labels).copied().flatten();
            let times = pushed.zip(rejected).map(|(pushed, rejected)| PushTimes::new(pushed, rejected));
            groups.insert(labels, times);
        }
        Ok(Self { exposed: true, groups })
    }
}

/// Returns the gateway's own two gauges, [`PUSH_TIME`] and [`PUSH_FAILED`], by the labels of the exposition. `None` if a
/// gauge has no value or two metrics have the same labels.
pub(crate) fn own_gauges(
    families: impl Iterator<Item = anyhow::Result<exposition::Family>>,
) -> anyhow::Result<[HashMap<Labels, Option<f64>>; 2]> {
    let mut gauges = [HashMap::new(), HashMap::new()];
    for family in families {
        let family = family?;
        let Some(gauge) = [PUSH_TIME, PUSH_FAILED].iter().position(|name| family.name() == *name) else {
            continue;
        };
        for metric in family.metrics() {
            let metric = metric?;
            memory::charge(memory::of_labels(&metric.labels) + 2 * size_of::<(Labels, Option<f64>)>())?;
            match gauges[gauge].entry(metric.labels) {
                Entry::Vacant(new) => drop(new.insert(metric.gauge)),
                Entry::Occupied(mut known) => drop(known.insert(None)),
            }
        }
    }
    Ok(gauges)
}

/// Marks groups with timestamps in the future as ambiguous: a clock that was ahead and then set back leaves timestamps
/// that look newer than they are.
pub(crate) fn reject_future_timestamps<'g, M: 'g>(
    groups: impl IntoIterator<Item = &'g mut StoredGroup<M>>,
    clock: &Clock,
) {
    for group in groups {
        let families = group.families.values().map(|family| family.time_stamp);
        let mut stamps = families.chain(group.pushed.map(|push| push.time_stamp));
        if group.ambiguity.is_none() && stamps.any(|stamp| clock.is_future(stamp)) {
            let text = "it was pushed in the future of its gateway, whose clock was set back";
            group.ambiguity = Some(Code::FutureTimestamp.because(text));
        }
    }
}
