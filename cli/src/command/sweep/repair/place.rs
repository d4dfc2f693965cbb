//! Where a group belongs, and the gateways that a decision about it depends on.

use std::collections::BTreeSet;

use crate::fleet::authority::Place;
use crate::gateway::api::Labels;

/// A group of the fleet. Gateways are indices of the survey, which begin with the members.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) labels: Labels,
    /// Push path, with the prefix.
    pub(super) path: String,
    pub(super) owner: usize,
    /// The first successor. `None`: the ring has one member.
    pub(super) replica: Option<usize>,
    /// All gateways that hold a copy, and the two above.
    pub(super) involved: BTreeSet<usize>,
}

impl Group {
    pub(super) fn place(&self) -> Place<'_> {
        Place { labels: &self.labels, owner: self.owner, replica: self.replica }
    }
}
