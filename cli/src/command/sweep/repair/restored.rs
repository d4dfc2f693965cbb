//! The families that this run stored on an owner.
//!
//! The owner did not get them from a client, so until a push replaces them they count as a copy of the replica's, with the
//! replica's time: if the replica has got a later push since, or a deletion, then the owner missed it while it was
//! overwritten here.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::place::Group;
use super::readings::Readings;
use crate::transfer::gateway_state::{GatewayState, ListedGroup, Series};

/// A family that this run stored on the owner of a group.
#[derive(Clone, Debug)]
pub(super) struct Restored {
    /// The gateway with the original, and its process and time stamp when it was read.
    pub(super) from: usize,
    source_start: String,
    stamp: Timestamp,
    /// The process of the owner that got the copy.
    owner_start: String,
    values: Arc<Values>,
    /// Time stamp of the owner's older copy, which the push replaces.
    before: Option<Timestamp>,
    /// Time stamp of the copy, once it was read back.
    at: Option<Timestamp>,
}

/// The state of a restored family in a later reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// As it was stored, and so is the original.
    Stands,
    /// A client pushed the original again.
    Replaced,
    /// A client deleted the original.
    Deleted,
    /// The owner does not hold it yet.
    Missing,
    /// A client deleted the copy.
    Gone,
    /// The owner got it from a client since, or restarted.
    Foreign,
}

impl Restored {
    /// Remembers a family that a push stores on the owner with the values of `values`. The original is that on gateway
    /// `from`. `None`: there is no original.
    pub(super) fn new(
        name: &str,
        group: &Group,
        (from, source): (usize, &GatewayState),
        owner: &GatewayState,
        values: &GatewayState,
    ) -> Option<Self> {
        let original = stored(source, group, name)?;
        Some(Self {
            from,
            source_start: source.start_time.clone(),
            stamp: original.stamp,
            owner_start: owner.start_time.clone(),
            values: Arc::new(stored(values, group, name)?.values?),
            before: stored(owner, group, name).map(|copy| copy.stamp),
            at: None,
        })
    }

    /// Compares with a later reading; remembers the time stamp of the copy.
    pub(super) fn fate(&mut self, name: &str, group: &Group, readings: &Readings<'_>) -> Fate {
        let (Ok(owner), Ok(source)) = (readings.state(group.owner), readings.state(self.from)) else {
            return Fate::Foreign;
        };
        if owner.start_time != self.owner_start {
            return Fate::Foreign;
        }
        let original = stored(source, group, name);
        let lost = source.start_time != self.source_start;
        let Some(copy) = stored(owner, group, name) else {
            return match self.at {
                _ if original.is_none() && !lost => Fate::Foreign,
                Some(_) => Fate::Gone,
                None => Fate::Missing,
            };
        };
        let is_ours = match self.at {
            Some(at) => copy.stamp == at,
            None => copy.values.as_ref() == Some(&*self.values),
        };
        if !is_ours {
            let waits = self.at.is_none() && self.before == Some(copy.stamp);
            return if waits { Fate::Missing } else { Fate::Foreign };
        }
        self.at = Some(copy.stamp);
        match original {
            _ if lost => Fate::Stands,
            None => Fate::Deleted,
            Some(original) if original.stamp == self.stamp => Fate::Stands,
            Some(original) if original.values.as_ref() == Some(&*self.values) => Fate::Stands,
            Some(_) => Fate::Replaced,
        }
    }

    /// Returns whether the last push to the owner's group was the one that stored this family.
    pub(super) fn is_last_push(&self, copy: &ListedGroup) -> bool {
        // A gateway gives one time stamp to everything that it stores for one push.
        copy.pushed.is_some_and(|pushed| Some(pushed.time_stamp) == self.at)
    }
}

/// By name.
pub(super) type RestoredFamilies = BTreeMap<String, Restored>;

/// The name of a group without families, which no family has.
pub(super) const GROUP: &str = "";

/// The type of a family, and the encoded metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Values {
    kind: String,
    metrics: Vec<(Series, Box<[u8]>)>,
}

/// A family, or a group without families, as a gateway stores it.
struct Stored {
    stamp: Timestamp,
    /// `None`: the exposition lacks some.
    values: Option<Values>,
}

fn stored(state: &GatewayState, group: &Group, name: &str) -> Option<Stored> {
    let held = state.groups.get(&group.labels)?;
    if name == GROUP {
        let stamp = held.last_push().filter(|_| held.families.is_empty())?;
        return Some(Stored { stamp, values: Some(Values::default()) });
    }
    let family = held.families.get(name)?;
    let values = state.values(name, family).map(|values| Values {
        kind: family.kind.clone(),
        metrics: values.into_iter().map(|(series, raw)| (series.clone(), raw.as_ref().into())).collect(),
    });
    Some(Stored { stamp: family.time_stamp, values })
}
