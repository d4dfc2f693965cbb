//! The groups of every gateway of a fleet, read once ([`crate::fleet::read`]).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pushring_router::{Mirror, Router, labels_to_path};

use super::unreadable::Unreadable;
use crate::gateway::api::{Labels, StoredGroup};
use crate::gateway::client::{Gateway, Status};
use crate::gateway::exposition::families;
use crate::gateway::push_times::GatewayPushTimes;
use crate::gateway::values::Values;
use crate::reason::{Code, Reason};

/// All gateways of a fleet, read at about the same time.
#[derive(Debug)]
pub(crate) struct Survey<M = Values> {
    /// The members in the order of the ring's indices, then registered gateways that are not on the ring.
    pub(crate) gateways: Vec<GatewaySurvey<M>>,
}

/// One gateway and its answer.
#[derive(Debug)]
pub(crate) struct GatewaySurvey<M = Values> {
    pub(crate) gateway: Gateway,
    pub(crate) on_ring: bool,
    /// Its groups, or the reason why they are unknown.
    pub(crate) groups: Result<Groups<M>, String>,
}

impl<M> Survey<M> {
    pub(crate) fn unreadable(&self) -> Vec<Unreadable> {
        let unreadable = |gateway: &GatewaySurvey<M>| {
            let reason = gateway.groups().err()?.to_owned();
            Some(Unreadable { gateway: gateway.gateway.name().to_owned(), on_ring: gateway.on_ring, reason })
        };
        self.gateways.iter().filter_map(unreadable).collect()
    }

    /// Returns the name of the gateway with this index.
    pub(crate) fn name(&self, index: usize) -> String {
        self.gateways[index].gateway.name().to_owned()
    }

    /// Iterates over all copies on readable gateways: index of the gateway, its groups, the group.
    pub(crate) fn copies(&self) -> impl Iterator<Item = (usize, &Groups<M>, &StoredGroup<M>)> {
        let readable =
            self.gateways.iter().enumerate().filter_map(|(on, surveyed)| Some((on, surveyed.groups().ok()?)));
        readable.flat_map(|(on, groups)| groups.all.iter().map(move |group| (on, groups, group)))
    }
}

impl<M> GatewaySurvey<M> {
    /// Returns its groups.
    ///
    /// # Errors
    /// The reason why they are unknown.
    pub(crate) fn groups(&self) -> Result<&Groups<M>, &str> {
        self.groups.as_ref().map_err(String::as_str)
    }
}

impl<M> Groups<M> {
    /// Returns the time since the last accepted push, by the gateway's clock. `None`: never, or unknown.
    pub(crate) fn age(&self, group: &StoredGroup<M>) -> Option<SignedDuration> {
        let last = group.last_push().filter(|_| group.ambiguity.is_none())?;
        Some(self.status.clock.age(last))
    }

    /// Finds the group with exactly these labels.
    pub(crate) fn find(&self, labels: &Labels) -> Option<&StoredGroup<M>> {
        let index = self.all.binary_search_by(|group| group.labels.cmp(labels)).ok()?;
        self.all.get(index)
    }
}

/// The groups of one gateway.
#[derive(Debug)]
pub(crate) struct Groups<M = Values> {
    /// The process that answered, and its clock.
    pub(crate) status: Status,
    /// Time of the first request, by our clock.
    pub(crate) began: Timestamp,
    /// Time until the answer was complete.
    pub(crate) took: Duration,
    /// Sorted by labels.
    pub(crate) all: Vec<StoredGroup<M>>,
}

/// The place where a group belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupLocation {
    /// Push path of the group, with the prefix.
    pub(crate) path: String,
    /// Index of its owner among the members.
    pub(crate) owner: usize,
    /// Index of the member that also stores its pushes: the first successor, with `mirror: all`.
    pub(crate) replica: Option<usize>,
}

impl GroupLocation {
    /// Returns whether the group belongs on this gateway, as its owner or as its replica.
    pub(crate) fn is_placed(&self, on: usize) -> bool {
        self.owner == on || self.replica == Some(on)
    }
}

/// Locates the group with these labels. Returns `None` if the ring has no members, or if no push path
/// produces exactly these labels: a name needs `utf8_names`, or (`U__`) a gateway in UTF-8 mode would
/// decode the name although the settings do not enable `utf8_names`.
pub(crate) fn locate(router: &Router, labels: &Labels) -> Option<GroupLocation> {
    let config = router.config();
    if !config.utf8_names && labels.keys().any(|name| name.starts_with("U__")) {
        return None;
    }
    let bytes = labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let path = labels_to_path(&config.path_prefix, config.utf8_names, bytes)?;
    let group = router.group(path.as_bytes())?;
    let same = group
        .labels
        .as_ref()?
        .iter()
        .map(|(name, value)| (name.as_slice(), value.as_slice()))
        .eq(labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let mut clockwise = router.ring().clockwise(&group.key);
    let owner = clockwise.next().filter(|_| same)?;
    let replica = if config.mirror == Mirror::All { clockwise.next() } else { None };
    Some(GroupLocation { path, owner, replica })
}

/// Locates a group that a gateway holds.
///
/// # Errors
/// The reason why its place is unknown.
pub(crate) fn locate_group<M>(router: &Router, group: &StoredGroup<M>) -> Result<GroupLocation, Reason> {
    match &group.ambiguity {
        Some(ambiguity) => Err(ambiguity.clone()),
        None => locate(router, &group.labels).ok_or_else(|| Code::NoPath.because(NO_PATH)),
    }
}

const NO_PATH: &str = "no push path produces these labels with the current settings (check utf8_names)";

/// Converts an age, which is negative if the gateway's clock was set back or its `Date` was rounded down.
pub(crate) fn seconds(age: SignedDuration) -> i64 {
    age.as_secs().max(0)
}

/// Reads the push times of all groups from the exposition, or from the slower API if that fails.
pub(crate) fn read_push_times(gateway: &Gateway) -> anyhow::Result<GatewayPushTimes> {
    match gateway.exposition() {
        Ok(response) => GatewayPushTimes::from_exposition(families(response)),
        Err(_) => Ok(GatewayPushTimes::from_api(&gateway.groups()?)),
    }
}
