//! A promise that a scrape shows to be broken.

use std::collections::BTreeSet;
use std::fmt;

use super::groups::SERIES;

/// A promise that a scrape broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A group or a family is not there.
    Missing,
    /// A value is older than one that was accepted.
    Older,
    /// A group or a family is there although it was deleted.
    Returned,
    /// No broken promise: while the group is repaired, a copy of the state before replaces a newer push, until the repair sees
    /// it.
    Overtaken,
}

/// A broken promise about one group.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) group: usize,
    pub(super) series: usize,
    pub(super) shown: Option<u64>,
    /// The values that the series may have; `None` is no value.
    pub(super) allowed: BTreeSet<Option<u64>>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<u64>| value.map_or("none".to_owned(), |value| value.to_string());
        let allowed: Vec<String> = self.allowed.iter().map(text).collect();
        let (series, shown) = (SERIES[self.series], text(&self.shown));
        write!(f, "{:?}: g{} shows {series} {shown}, allowed: {}", self.kind, self.group, allowed.join(", "))
    }
}
