//! When each group of a gateway was pushed last: enough to see that nothing changed since it was read in full.
//!
//! The API has no read of one group, and a full answer costs seconds where a gateway holds hundreds of thousands of
//! series. Every push sets one of the gateway's own two gauges to its time, and the exposition has them at a quarter
//! of the cost. A gateway that is poisoned has no exposition; then the API is read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::api::{Labels, PUSH_FAILED, PUSH_TIME, StoredGroup};
use super::clock::Clock;
use super::exposition;

/// The times of the last push that was taken and of the last that was refused, to the bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PushTimes {
    pushed: u64,
    refused: u64,
}

/// The times of all groups of a gateway at one moment.
#[derive(Clone, Debug)]
pub(crate) struct GatewayPushTimes {
    /// Whether they are filed under the labels as the exposition has them, in which every group has an `instance`.
    exposed: bool,
    /// `None`: two groups that look the same there.
    groups: HashMap<Labels, Option<PushTimes>>,
}

impl PushTimes {
    fn new(pushed: f64, refused: f64) -> Self {
        Self { pushed: pushed.to_bits(), refused: refused.to_bits() }
    }

    /// Of a group as the API tells it. `None` when the gateway does not tell.
    pub(crate) fn of<M>(group: &StoredGroup<M>) -> Option<Self> {
        let (pushed, refused) = (group.pushed?, group.refused?);
        Some(Self::new(pushed.seconds, refused.seconds))
    }
}

impl GatewayPushTimes {
    /// The times of a group; `None` when it is not there, or cannot be told.
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

    /// From all families of an exposition.
    pub(crate) fn from_exposition(
        families: impl Iterator<Item = anyhow::Result<exposition::Family>>,
    ) -> anyhow::Result<Self> {
        let [pushed, refused] = own_gauges(families)?;
        let mut groups = HashMap::new();
        for (labels, pushed) in pushed {
            let refused = refused.get(&labels).copied().flatten();
            let times = pushed.zip(refused).map(|(pushed, refused)| PushTimes::new(pushed, refused));
            groups.insert(labels, times);
        }
        Ok(Self { exposed: true, groups })
    }
}

/// The gateway's own two gauges, [`PUSH_TIME`] and [`PUSH_FAILED`], by the labels of the exposition. `None`: without a
/// value, or two metrics that look the same.
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
            match gauges[gauge].entry(metric.labels) {
                Entry::Vacant(new) => drop(new.insert(metric.gauge)),
                Entry::Occupied(mut known) => drop(known.insert(None)),
            }
        }
    }
    Ok(gauges)
}

/// A clock that was ahead and set back since left time stamps that look newer than they are.
pub(crate) fn reject_future_timestamps<'g, M: 'g>(
    groups: impl IntoIterator<Item = &'g mut StoredGroup<M>>,
    clock: &Clock,
) {
    for group in groups {
        let families = group.families.values().map(|family| family.time_stamp);
        let mut stamps = families.chain(group.pushed.map(|push| push.time_stamp));
        if group.ambiguity.is_none() && stamps.any(|stamp| clock.is_future(stamp)) {
            group.ambiguity =
                Some("it was pushed in the future of its gateway, whose clock was set back".to_owned());
        }
    }
}
