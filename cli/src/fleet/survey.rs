//! What lies where: every gateway of a fleet, read once ([`crate::fleet::read`]).

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use pushring_router::{Router, labels_to_path};
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::gateway::api::{Labels, StoredGroup};
use crate::gateway::client::{Gateway, Status};
use crate::gateway::exposition::families;
use crate::gateway::push_times::GatewayPushTimes;

/// All gateways of a fleet, read at about the same time.
#[derive(Debug)]
pub(crate) struct Survey<M = IgnoredAny> {
    /// The members in the order of the ring's indices, then those that are registered but not on the ring.
    pub(crate) gateways: Vec<GatewaySurvey<M>>,
}

/// One gateway and what it answered.
#[derive(Debug)]
pub(crate) struct GatewaySurvey<M = IgnoredAny> {
    pub(crate) gateway: Gateway,
    /// Whether it is on the ring.
    pub(crate) on_ring: bool,
    /// What it holds, or why that cannot be told.
    pub(crate) groups: Result<Groups<M>, String>,
}

impl<M> Survey<M> {
    pub(crate) fn unreadable(&self) -> Vec<Unreadable> {
        self.gateways.iter().filter_map(Unreadable::of).collect()
    }

    /// Name of the gateway with this index.
    pub(crate) fn name(&self, index: usize) -> String {
        self.gateways[index].gateway.name().to_owned()
    }

    /// All copies: index of the gateway, its groups, the group. A gateway that cannot be read has none.
    pub(crate) fn copies(&self) -> impl Iterator<Item = (usize, &Groups<M>, &StoredGroup<M>)> {
        let readable =
            self.gateways.iter().enumerate().filter_map(|(on, surveyed)| Some((on, surveyed.groups().ok()?)));
        readable.flat_map(|(on, groups)| groups.all.iter().map(move |group| (on, groups, group)))
    }
}

impl<M> GatewaySurvey<M> {
    /// What it holds.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub(crate) fn groups(&self) -> Result<&Groups<M>, &str> {
        self.groups.as_ref().map_err(String::as_str)
    }
}

impl<M> Groups<M> {
    /// How long ago a group was pushed last, by the clock of its gateway. `None`: never, or it cannot be told.
    pub(crate) fn age(&self, group: &StoredGroup<M>) -> Option<SignedDuration> {
        let last = group.last_push().filter(|_| group.ambiguity.is_none())?;
        Some(self.status.clock.age(last))
    }

    /// The group with exactly these labels.
    pub(crate) fn find(&self, labels: &Labels) -> Option<&StoredGroup<M>> {
        let index = self.all.binary_search_by(|group| group.labels.cmp(labels)).ok()?;
        self.all.get(index)
    }
}

/// What one gateway holds.
#[derive(Debug)]
pub(crate) struct Groups<M = IgnoredAny> {
    /// Which process answered, and its clock.
    pub(crate) status: Status,
    /// How long the answer took.
    pub(crate) took: Duration,
    /// Its groups, sorted by labels.
    pub(crate) all: Vec<StoredGroup<M>>,
}

/// Where a group belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupLocation {
    /// A push path of it, with the prefix.
    pub(crate) path: String,
    /// Index of its owner among the members.
    pub(crate) owner: usize,
}

/// Where a group belongs. `None` when its labels do not come back from the path that is written for them, as with a
/// name that needs `utf8_names`, when a gateway that runs with UTF-8 names though the settings do not say so would take
/// the path for another group's, or when there are no members.
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
    let owner = router.ring().owner(&group.key).filter(|_| same)?;
    Some(GroupLocation { path, owner })
}

/// Where a group that a gateway holds belongs.
///
/// # Errors
/// Why that cannot be told.
pub(crate) fn locate_group<M>(router: &Router, group: &StoredGroup<M>) -> Result<GroupLocation, String> {
    match &group.ambiguity {
        Some(ambiguity) => Err(ambiguity.clone()),
        None => locate(router, &group.labels).ok_or_else(|| NO_PATH.to_owned()),
    }
}

const NO_PATH: &str = "no push path leads to its labels by these settings (utf8_names?)";

/// Why the age of a group is unknown.
pub(crate) const NO_PUSH_TIME: &str = "its gateway does not tell its last push";

/// Below zero where a gateway's clock was set back since, or by what its `Date` rounds off.
pub(crate) fn seconds(age: SignedDuration) -> i64 {
    age.as_secs().max(0)
}

/// When each group of a gateway was pushed last, read as cheaply as it can be.
pub(crate) fn read_push_times(gateway: &Gateway) -> anyhow::Result<GatewayPushTimes> {
    match gateway.exposition() {
        Ok(response) => GatewayPushTimes::from_exposition(families(response)),
        Err(_) => Ok(GatewayPushTimes::from_api(&gateway.groups()?)),
    }
}

/// A gateway about which nothing can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Unreadable {
    /// Name of the gateway.
    pub(crate) gateway: String,
    /// Whether it is on the ring; one that is only registered in Consul owns nothing.
    pub(crate) on_ring: bool,
    pub(crate) reason: String,
}

impl Unreadable {
    fn of<M>(surveyed: &GatewaySurvey<M>) -> Option<Self> {
        let reason = surveyed.groups().err()?.to_owned();
        Some(Self { gateway: surveyed.gateway.name().to_owned(), on_ring: surveyed.on_ring, reason })
    }

    /// Some gateways, one a line.
    pub(crate) fn lines(gateways: &[Self]) -> String {
        gateways.iter().map(|gateway| format!("{gateway}\n")).collect()
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off = if self.on_ring { "" } else { " (not on the ring)" };
        write!(f, "{}{off} cannot be read: {}", self.gateway, self.reason)
    }
}
