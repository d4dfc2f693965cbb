//! When each group of a gateway was pushed last: enough to see that nothing changed since it was read in full.
//!
//! The API has no read of one group, and a full answer costs seconds where a gateway holds hundreds of thousands of
//! series. Every push sets one of the gateway's own two gauges to its time, and the exposition has them at a quarter
//! of the cost. A gateway that is poisoned has no exposition; then the API is read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::api::{Group, Labels, PUSH_FAILED, PUSH_TIME};
use super::client::Gateway;
use crate::gateway::exposition;

/// The times of the last push that was taken and of the last that was refused, to the bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pushed: u64,
    refused: u64,
}

/// The marks of all groups of a gateway at one moment.
#[derive(Clone, Debug)]
pub struct Marks {
    /// Whether they are filed under the labels as the exposition has them, in which every group has an `instance`.
    exposed: bool,
    /// `None`: two groups that look the same there.
    groups: HashMap<Labels, Option<Mark>>,
}

impl Mark {
    /// Of a group as the API tells it. `None` when the gateway does not tell.
    #[must_use]
    pub fn of<M>(group: &Group<M>) -> Option<Self> {
        let (pushed, refused) = (group.pushed?, group.refused?);
        Some(Self { pushed: pushed.seconds.to_bits(), refused: refused.seconds.to_bits() })
    }
}

impl Marks {
    pub(super) fn read(gateway: &Gateway) -> anyhow::Result<Self> {
        match gateway.exposition() {
            Ok(response) => Self::exposed(exposition::families(response)),
            Err(_) => Ok(Self::told(&gateway.groups()?)),
        }
    }

    /// The mark of a group; `None` when it is not there, or cannot be told.
    #[must_use]
    pub fn get(&self, labels: &Labels) -> Option<Mark> {
        if !self.exposed || labels.contains_key("instance") {
            return self.groups.get(labels).copied().flatten();
        }
        let mut exposed = labels.clone();
        exposed.insert("instance".to_owned(), String::new());
        self.groups.get(&exposed).copied().flatten()
    }

    fn told<M>(groups: &[Group<M>]) -> Self {
        let sure = groups.iter().filter(|group| group.doubt.is_none());
        Self { exposed: false, groups: sure.map(|group| (group.labels.clone(), Mark::of(group))).collect() }
    }

    /// From all families of an exposition.
    pub(crate) fn exposed(
        families: impl Iterator<Item = anyhow::Result<exposition::Family>>,
    ) -> anyhow::Result<Self> {
        let mut gauges: [HashMap<Labels, Option<f64>>; 2] = [HashMap::new(), HashMap::new()];
        for family in families {
            let family = family?;
            let gauge = match family.name() {
                PUSH_TIME => 0,
                PUSH_FAILED => 1,
                _ => continue,
            };
            for metric in family.metrics() {
                let metric = metric?;
                match gauges[gauge].entry(metric.labels) {
                    Entry::Vacant(new) => drop(new.insert(metric.gauge)),
                    Entry::Occupied(mut known) => drop(known.insert(None)),
                }
            }
        }
        let [pushed, refused] = gauges;
        let mark = |labels: &Labels, pushed: Option<f64>| {
            let refused = refused.get(labels).copied().flatten()?;
            Some(Mark { pushed: pushed?.to_bits(), refused: refused.to_bits() })
        };
        let groups = pushed.into_iter().map(|(labels, pushed)| {
            let mark = mark(&labels, pushed);
            (labels, mark)
        });
        Ok(Self { exposed: true, groups: groups.collect() })
    }
}
