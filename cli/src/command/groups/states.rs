//! Every copy of every group on every gateway, with its owner, age and state.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use pushring_router::{Mirror, RouteBy};
use serde::Serialize;

use super::replication;
use crate::cleanup::compare::compare;
use crate::cleanup::copy::KeepReason;
use crate::fleet::group_filter::{GroupFilter, is_older};
use crate::fleet::source::Fleet;
use crate::fleet::survey::{GroupLocation, Groups, Survey, locate_group, seconds};
use crate::fleet::unreadable::Unreadable;
use crate::gateway::api::{Labels, NO_PUSH_TIME, StoredGroup};
use crate::gateway::values::Values;
use crate::output;
use crate::reason::{Code, Reason};

/// The state of one copy of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// On its owner.
    InPlace,
    /// On its replica, with the same families and values as on its owner.
    Replica,
    /// On its replica, but its owner holds other families or values.
    StaleReplica,
    /// On another gateway, and its owner, and its replica if it has one, hold all of it, newer: `sweep` deletes this copy.
    Misplaced,
    /// On another gateway, and its owner holds the group, but it or the replica does not hold all of it newer: `sweep` keeps
    /// this copy.
    Duplicated,
    /// Not on its owner, which does not hold the group.
    LeftBehind,
    /// On its owner, but not pushed for a long time.
    Stale,
    /// No push was ever accepted: the gateway keeps the group of a rejected push.
    Stub,
    /// The state cannot be determined.
    Unknown,
}

impl State {
    /// Returns the spelling of reports and flags.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in-place",
            Self::Replica => "replica",
            Self::StaleReplica => "stale-replica",
            Self::Misplaced => "misplaced",
            Self::Duplicated => "duplicated",
            Self::LeftBehind => "left-behind",
            Self::Stale => "stale",
            Self::Stub => "stub",
            Self::Unknown => "unknown",
        }
    }

    /// Returns whether the state requires an action. A stale group may belong to a job that runs rarely.
    pub(crate) fn is_bad(self) -> bool {
        !matches!(self, Self::InPlace | Self::Replica | Self::Stale)
    }
}

/// Filters of rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowFilter {
    /// Labels and minimum age.
    pub(crate) groups: GroupFilter,
    /// Limit for the age of the last push; excludes unknown ages.
    pub(crate) younger_than: Option<Duration>,
    /// Accepted states; empty: all.
    pub(crate) states: Vec<State>,
}

/// The order of rows; equal rows are sorted by labels, then by gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// By labels, so that copies of one group are adjacent.
    #[default]
    Labels,
    /// Oldest push first, unknown push times last.
    Age,
    /// In place first, unknown last.
    State,
    /// By the name of the owner.
    Owner,
    /// By the name of the gateway that stores the copy.
    On,
}

/// One copy of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// Empty if the gateway's API does not report them.
    pub(crate) labels: Labels,
    /// Name of the gateway that stores it.
    pub(crate) on: String,
    /// Whether that gateway is on the ring; else it is only registered in Consul.
    pub(crate) on_ring: bool,
    /// Name of its owner. `None`: unknown.
    pub(crate) owner: Option<String>,
    /// Name of its replica; only with `mirror: all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replica: Option<String>,
    pub(crate) state: State,
    /// Why it is kept, why its state is unknown, or what is wrong with its replica.
    pub(crate) reason: Option<String>,
    /// The code of the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Code>,
    /// Seconds since the last accepted push, by the gateway's clock. `None`: never, or unknown.
    pub(crate) age_seconds: Option<i64>,
    /// Seconds since the last rejected push. `None`: never, or unknown.
    pub(crate) failed_age_seconds: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) gateways: usize,
    /// The rows that the filter matches.
    pub(crate) groups: Vec<Row>,
    /// Number of these rows per state.
    pub(crate) counts: BTreeMap<State, usize>,
    /// Number of rows of groups that are on their owner, but not on their replica; only with `mirror: all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unreplicated: Option<usize>,
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Report {
    /// Reports the groups of a survey.
    pub(crate) fn new(
        fleet: &Fleet,
        survey: &Survey,
        stale_after: Duration,
        filter: &RowFilter,
        sort: Sort,
    ) -> Self {
        let mut rows: Vec<Row> = survey
            .copies()
            .filter(|(_, groups, group)| filter.matches(groups, group))
            .map(|(on, groups, group)| row(fleet, survey, (on, groups), group, stale_after))
            .filter(|row| filter.states.is_empty() || filter.states.contains(&row.state))
            .collect();
        sort.apply(&mut rows);
        let mut counts = BTreeMap::new();
        for row in &rows {
            *counts.entry(row.state).or_default() += 1;
        }
        let is_alone = |row: &&Row| {
            row.code == Some(Code::Unreplicated) && matches!(row.state, State::InPlace | State::Stale)
        };
        let unreplicated = rows.iter().filter(is_alone).count();
        Self {
            gateways: survey.gateways.len(),
            unreplicated: (fleet.router.config().mirror == Mirror::All).then_some(unreplicated),
            groups: rows,
            counts,
            unreadable: survey.unreadable(),
        }
    }

    /// Returns whether a row requires an action, or a gateway on the ring cannot be read.
    pub(crate) fn is_bad(&self) -> bool {
        self.counts.keys().any(|state| state.is_bad())
            || self.unreplicated.is_some_and(|count| count > 0)
            || self.unreadable.iter().any(|gateway| gateway.on_ring)
    }
}

impl RowFilter {
    fn matches(&self, groups: &Groups, group: &StoredGroup<Values>) -> bool {
        let age = groups.age(group);
        self.groups.matches(&group.labels)
            && self.groups.older_than.is_none_or(|than| is_older(age, than))
            && self.younger_than.is_none_or(|than| age.is_some() && !is_older(age, than))
    }
}

impl Sort {
    fn apply(self, rows: &mut [Row]) {
        // As the table shows them: by the job first.
        rows.sort_by_cached_key(|row| (output::group(&row.labels), row.on.clone()));
        match self {
            Self::Labels => {}
            // Greatest age first; `None` is the smallest.
            Self::Age => rows.sort_by_key(|row| std::cmp::Reverse(row.age_seconds)),
            Self::State => rows.sort_by_key(|row| row.state),
            Self::Owner => rows.sort_by(|a, b| a.owner.cmp(&b.owner)),
            Self::On => rows.sort_by(|a, b| a.on.cmp(&b.on)),
        }
    }
}

fn row(
    fleet: &Fleet,
    survey: &Survey,
    (on, groups): (usize, &Groups),
    group: &StoredGroup<Values>,
    stale_after: Duration,
) -> Row {
    let age = groups.age(group);
    let location = locate_owned(fleet, group);
    let (state, reason) = match &location {
        Err(reason) => (State::Unknown, Some(reason.clone())),
        Ok(_) if group.is_stub() => (State::Stub, None),
        Ok(location) if location.owner == on => on_owner(survey, (groups, group), location, stale_after),
        Ok(location) if location.replica == Some(on) => {
            replication::of_replica(survey, (groups, group), location.owner)
        }
        Ok(location) => elsewhere(survey, on, group, location),
    };
    let location = location.ok();
    let failed = group.last_rejection().map(|rejected| groups.status.clock.age(rejected));
    Row {
        labels: group.labels.clone(),
        on: survey.name(on),
        on_ring: survey.gateways[on].on_ring,
        owner: location.as_ref().map(|location| survey.name(location.owner)),
        replica: location.and_then(|location| location.replica).map(|replica| survey.name(replica)),
        state,
        code: reason.as_ref().map(|reason| reason.code),
        reason: reason.map(|reason| reason.text),
        age_seconds: age.map(seconds),
        failed_age_seconds: failed.map(seconds),
    }
}

/// Locates a group that has a single owner.
fn locate_owned(fleet: &Fleet, group: &StoredGroup<Values>) -> Result<GroupLocation, Reason> {
    let by_path = fleet.router.config().route_by == RouteBy::Path;
    if group.ambiguity.is_none() && by_path {
        return Err(Code::RouteByPath.because("route_by is \"path\": a group does not have a single owner"));
    }
    locate_group(&fleet.router, group)
}

fn on_owner(
    survey: &Survey,
    (groups, group): (&Groups, &StoredGroup<Values>),
    location: &GroupLocation,
    stale_after: Duration,
) -> (State, Option<Reason>) {
    let age = groups.age(group);
    if age.is_none() {
        return (State::Unknown, Some(Code::NoPushTime.because(NO_PUSH_TIME)));
    }
    let state = if is_older(age, stale_after) { State::Stale } else { State::InPlace };
    let replica = location.replica;
    (state, replica.and_then(|replica| replication::unreplicated(survey, (groups, group), replica)))
}

/// Returns the state of a copy on a gateway that is neither owner nor replica.
fn elsewhere(
    survey: &Survey,
    on: usize,
    group: &StoredGroup<Values>,
    location: &GroupLocation,
) -> (State, Option<Reason>) {
    match compare(survey, on, group, location) {
        Ok(()) => (State::Misplaced, None),
        Err(KeepReason::LeftBehind) => (State::LeftBehind, None),
        Err(KeepReason::Uncertain(reason)) => (State::Unknown, Some(reason)),
        Err(kept @ (KeepReason::Lacking(_) | KeepReason::NotNewer(_) | KeepReason::Unreplicated(_))) => {
            (State::Duplicated, Some(kept.to_reason()))
        }
    }
}
