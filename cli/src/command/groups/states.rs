//! Every copy of every group on every gateway: where it should be, how old it is, what state it is in.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use jiff::SignedDuration;
use pushring_router::RouteBy;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::cleanup::superseded::Kept;
use crate::command::sweep::pass::{NO_PATH, Unreadable, compare, unreadable};
use crate::fleet::group_filter::{Select, is_older};
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Contents, Survey, place};
use crate::gateway::api::{Group, Labels};

/// What is to be said of one copy of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum State {
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
    #[must_use]
    pub fn name(self) -> &'static str {
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
    #[must_use]
    pub fn is_bad(self) -> bool {
        !matches!(self, Self::InPlace | Self::Stale)
    }
}

/// Which rows are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By labels and age.
    pub select: Select,
    /// By the age of the last push: less than that. One that cannot be told is not among them.
    pub younger_than: Option<Duration>,
    /// By state; empty: all.
    pub states: Vec<State>,
}

/// The order of rows; within it by labels, then by gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
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
pub struct Row {
    /// Its labels; empty where the gateway's API does not tell them.
    pub labels: Labels,
    /// Name of the gateway on which it lies.
    pub on: String,
    /// Whether that one is on the ring; else it is only registered in Consul.
    pub on_ring: bool,
    /// Name of its owner; none where that cannot be told.
    pub owner: Option<String>,
    /// What is to be said of it.
    pub state: State,
    /// Why it is kept, or why it cannot be told.
    pub reason: Option<String>,
    /// Seconds since the last push that was taken, by the gateway's clock; none: never, or it cannot be told.
    pub age_seconds: Option<i64>,
    /// Seconds since the last push that was refused; none: never, or it cannot be told.
    pub failed_age_seconds: Option<i64>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many gateways were asked.
    pub gateways: usize,
    /// The rows that the filter takes.
    pub groups: Vec<Row>,
    /// How many of them are in which state.
    pub counts: BTreeMap<State, usize>,
    /// Gateways about which nothing can be told, and why.
    pub unreadable: Vec<Unreadable>,
}

impl Report {
    /// Looks at every group of a survey.
    #[must_use]
    pub fn new(fleet: &Fleet, survey: &Survey, stale_after: Duration, filter: &Filter, sort: Sort) -> Self {
        let all =
            survey.gateways.iter().enumerate().filter_map(|(on, reading)| Some((on, reading.known().ok()?)));
        let copies =
            all.flat_map(|(on, contents)| contents.groups.iter().map(move |group| (on, contents, group)));
        let mut groups: Vec<Row> = copies
            .filter(|(_, _, group)| filter.select.takes(&group.labels))
            .filter(|(_, contents, group)| filter.takes_age(age(contents, group)))
            .map(|(on, contents, group)| row(fleet, survey, (on, contents), group, stale_after))
            .filter(|row| filter.states.is_empty() || filter.states.contains(&row.state))
            .collect();
        sort.apply(&mut groups);
        let mut counts = BTreeMap::new();
        for row in &groups {
            *counts.entry(row.state).or_default() += 1;
        }
        Self { gateways: survey.gateways.len(), groups, counts, unreadable: unreadable(survey) }
    }

    /// Whether somebody has to do something: about a group that the filter takes, or about a gateway on the ring that
    /// told nothing.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.counts.keys().any(|state| state.is_bad())
            || self.unreadable.iter().any(|gateway| gateway.on_ring)
    }
}

impl Filter {
    fn takes_age(&self, age: Option<SignedDuration>) -> bool {
        self.select.older_than.is_none_or(|than| is_older(age, than))
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

/// How long ago a group was pushed last, by the clock of its gateway. `None`: never, or it cannot be told.
pub(crate) fn age(contents: &Contents, group: &Group<IgnoredAny>) -> Option<SignedDuration> {
    let last = group.last_push().filter(|_| group.doubt.is_none())?;
    Some(contents.status.clock.age(last))
}

fn row(
    fleet: &Fleet,
    survey: &Survey,
    (on, contents): (usize, &Contents),
    group: &Group<IgnoredAny>,
    stale_after: Duration,
) -> Row {
    let age = age(contents, group);
    let found = find(fleet, survey, on, group);
    let (state, reason) = match found.state {
        Ok(State::InPlace) if is_older(age, stale_after) => (State::Stale, None),
        Ok(State::InPlace) if age.is_none() => (State::Unknown, Some(NO_PUSH_TIME.to_owned())),
        Ok(state) => (state, None),
        Err(Kept::LeftBehind) => (State::LeftBehind, None),
        Err(Kept::Doubt(reason)) => (State::Unknown, Some(reason)),
        Err(kept @ (Kept::Lacking(_) | Kept::NotNewer(_))) => (State::Duplicated, Some(kept.to_string())),
    };
    let failed = group.last_refusal().map(|refused| contents.status.clock.age(refused));
    let reading = &survey.gateways[on];
    Row {
        labels: group.labels.clone(),
        on: reading.gateway.name().to_owned(),
        on_ring: reading.on_ring,
        owner: found.owner.map(|owner| survey.gateways[owner].gateway.name().to_owned()),
        state,
        reason,
        age_seconds: age.map(seconds),
        failed_age_seconds: failed.map(seconds),
    }
}

/// Why the age of a group is unknown.
pub(crate) const NO_PUSH_TIME: &str = "its gateway does not tell its last push";

/// Below zero where a gateway's clock was set back since, or by what its `Date` rounds off.
pub(crate) fn seconds(age: SignedDuration) -> i64 {
    age.as_secs().max(0)
}

struct Found {
    owner: Option<usize>,
    state: Result<State, Kept>,
}

/// Where a copy belongs, and what is to be said of it but for its age.
fn find(fleet: &Fleet, survey: &Survey, on: usize, group: &Group<IgnoredAny>) -> Found {
    let unknown = |reason: &str| Found { owner: None, state: Err(Kept::Doubt(reason.to_owned())) };
    if let Some(doubt) = &group.doubt {
        return unknown(doubt);
    }
    if fleet.router.config().route_by == RouteBy::Path {
        return unknown("route_by is \"path\": a group has no one owner");
    }
    let Some(place) = place(&fleet.router, &group.labels) else { return unknown(NO_PATH) };
    let state = if group.is_stub() {
        Ok(State::Stub)
    } else if place.owner == on {
        Ok(State::InPlace)
    } else {
        compare(survey, on, group, place.owner).map(|()| State::Misplaced)
    };
    Found { owner: Some(place.owner), state }
}
