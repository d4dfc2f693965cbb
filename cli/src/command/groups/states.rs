//! Every copy of every group on every gateway: where it should be, how old it is, what state it is in.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use pushring_router::RouteBy;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::cleanup::compare::compare;
use crate::cleanup::copy::KeepReason;
use crate::fleet::group_filter::{GroupFilter, is_older};
use crate::fleet::source::Fleet;
use crate::fleet::survey::{GroupLocation, Groups, NO_PUSH_TIME, Survey, Unreadable, locate_group, seconds};
use crate::gateway::api::{Labels, StoredGroup};

/// What is to be said of one copy of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// On its owner.
    InPlace,
    /// Not on its owner, which holds all of it, newer: `sweep` deletes it.
    Misplaced,
    /// Not on its owner, which has the group too, but not all of it newer: `sweep` keeps it.
    Duplicated,
    /// Not on its owner, which does not have the group.
    LeftBehind,
    /// On its owner, but the last push is long ago.
    Stale,
    /// No push to it was ever taken: what is left of one that was refused.
    Stub,
    /// It cannot be told.
    Unknown,
}

impl State {
    /// As it is printed and given.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in-place",
            Self::Misplaced => "misplaced",
            Self::Duplicated => "duplicated",
            Self::LeftBehind => "left-behind",
            Self::Stale => "stale",
            Self::Stub => "stub",
            Self::Unknown => "unknown",
        }
    }

    /// Whether somebody has to do something about it. A group that is stale may belong to a job that runs rarely.
    pub(crate) fn is_bad(self) -> bool {
        !matches!(self, Self::InPlace | Self::Stale)
    }
}

/// Which rows are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowFilter {
    /// By labels and age.
    pub(crate) groups: GroupFilter,
    /// By the age of the last push: less than that. One that cannot be told is not among them.
    pub(crate) younger_than: Option<Duration>,
    /// By state; empty: all.
    pub(crate) states: Vec<State>,
}

/// The order of rows; within it by labels, then by gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// By labels, so that copies of one group are neighbours.
    #[default]
    Labels,
    /// The longest ago first, then those whose last push cannot be told.
    Age,
    /// In place first, unknown last.
    State,
    /// By the name of the owner.
    Owner,
    /// By the name of the gateway on which they lie.
    On,
}

/// One copy of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// Its labels; empty where the gateway's API does not tell them.
    pub(crate) labels: Labels,
    /// Name of the gateway on which it lies.
    pub(crate) on: String,
    /// Whether that one is on the ring; else it is only registered in Consul.
    pub(crate) on_ring: bool,
    /// Name of its owner; none where that cannot be told.
    pub(crate) owner: Option<String>,
    /// What is to be said of it.
    pub(crate) state: State,
    /// Why it is kept, or why it cannot be told.
    pub(crate) reason: Option<String>,
    /// Seconds since the last push that was taken, by the gateway's clock; none: never, or it cannot be told.
    pub(crate) age_seconds: Option<i64>,
    /// Seconds since the last push that was refused; none: never, or it cannot be told.
    pub(crate) failed_age_seconds: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) gateways: usize,
    /// The rows that the filter takes.
    pub(crate) groups: Vec<Row>,
    /// How many of them are in which state.
    pub(crate) counts: BTreeMap<State, usize>,
    /// Gateways about which nothing can be told, and why.
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Report {
    /// Looks at every group of a survey.
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
        Self { gateways: survey.gateways.len(), groups: rows, counts, unreadable: survey.unreadable() }
    }

    /// Whether somebody has to do something: about a group that the filter takes, or about a gateway on the ring that
    /// told nothing.
    pub(crate) fn is_bad(&self) -> bool {
        self.counts.keys().any(|state| state.is_bad())
            || self.unreadable.iter().any(|gateway| gateway.on_ring)
    }
}

impl RowFilter {
    fn matches(&self, groups: &Groups, group: &StoredGroup<IgnoredAny>) -> bool {
        let age = groups.age(group);
        self.groups.matches(&group.labels)
            && self.groups.older_than.is_none_or(|than| is_older(age, than))
            && self.younger_than.is_none_or(|than| age.is_some() && !is_older(age, than))
    }
}

impl Sort {
    fn apply(self, rows: &mut [Row]) {
        rows.sort_unstable_by(|a, b| (&a.labels, &a.on).cmp(&(&b.labels, &b.on)));
        match self {
            Self::Labels => {}
            // The greatest age first; `None` is the smallest.
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
    group: &StoredGroup<IgnoredAny>,
    stale_after: Duration,
) -> Row {
    let age = groups.age(group);
    let (owner, state) = find(fleet, survey, on, group);
    let (state, reason) = match state {
        Ok(State::InPlace) if is_older(age, stale_after) => (State::Stale, None),
        Ok(State::InPlace) if age.is_none() => (State::Unknown, Some(NO_PUSH_TIME.to_owned())),
        Ok(state) => (state, None),
        Err(KeepReason::LeftBehind) => (State::LeftBehind, None),
        Err(KeepReason::Uncertain(reason)) => (State::Unknown, Some(reason)),
        Err(kept @ (KeepReason::Lacking(_) | KeepReason::NotNewer(_))) => {
            (State::Duplicated, Some(kept.to_string()))
        }
    };
    let failed = group.last_refusal().map(|refused| groups.status.clock.age(refused));
    Row {
        labels: group.labels.clone(),
        on: survey.name(on),
        on_ring: survey.gateways[on].on_ring,
        owner: owner.map(|owner| survey.name(owner)),
        state,
        reason,
        age_seconds: age.map(seconds),
        failed_age_seconds: failed.map(seconds),
    }
}

/// Where a copy belongs, and what is to be said of it but for its age.
fn find(
    fleet: &Fleet,
    survey: &Survey,
    on: usize,
    group: &StoredGroup<IgnoredAny>,
) -> (Option<usize>, Result<State, KeepReason>) {
    if group.ambiguity.is_none() && fleet.router.config().route_by == RouteBy::Path {
        (None, Err(KeepReason::Uncertain("route_by is \"path\": a group has no one owner".to_owned())))
    } else {
        match locate_group(&fleet.router, group) {
            Err(reason) => (None, Err(KeepReason::Uncertain(reason))),
            Ok(location) if group.is_stub() => (Some(location.owner), Ok(State::Stub)),
            Ok(location) if location.owner == on => (Some(on), Ok(State::InPlace)),
            Ok(GroupLocation { owner, .. }) => {
                (Some(owner), compare(survey, on, group, owner).map(|()| State::Misplaced))
            }
        }
    }
}
