//! The states of a group on the page.

use jiff::SignedDuration;

use crate::command::serve::view::{FleetView, GroupView, Source};
use crate::gateway::api::{PUSH_FAILED, PUSH_TIME};

/// Age of the last push from which a group counts as stale; the default of `pushring groups --stale-after`.
const STALE_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// A state of a group. It has one of the first five, and any of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command::serve) enum Mark {
    InPlace,
    Replica,
    LeftBehind,
    Deleted,
    Unknown,
    Conflict,
    Rejected,
    Stub,
    Stale,
}

/// How much a state matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Good,
    Note,
    Warning,
    Error,
}

impl Level {
    /// Returns the class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Mark {
    pub(super) const ALL: [Self; 9] = [
        Self::InPlace,
        Self::Replica,
        Self::LeftBehind,
        Self::Deleted,
        Self::Unknown,
        Self::Conflict,
        Self::Rejected,
        Self::Stub,
        Self::Stale,
    ];

    /// Returns the spelling on the page and in its address; that of `pushring groups` where the state is the same.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in-place",
            Self::Replica => "replica",
            Self::LeftBehind => "left-behind",
            Self::Deleted => "deleted",
            Self::Unknown => "unknown",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
            Self::Stub => "stub",
            Self::Stale => "stale",
        }
    }

    /// Explains the state in one sentence.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::InPlace => "Its owner holds it.",
            Self::Replica => "Its owner lacks something of it, which its replica holds.",
            Self::LeftBehind => "Its owner lacks something of it, which a former owner holds.",
            Self::Deleted => {
                "Its owner lacks it, because it was deleted there. Another gateway holds a stale copy, which is not in /metrics."
            }
            Self::Unknown => "Its labels or its owner are not certain.",
            Self::Conflict => {
                "Metrics of it are left out of /metrics, because they do not fit those of another group."
            }
            Self::Rejected => "Its last push was rejected.",
            Self::Stub => "No push to it was ever accepted.",
            Self::Stale => "Its last push is older than a day.",
        }
    }

    pub(super) fn level(self) -> Level {
        match self {
            Self::InPlace => Level::Good,
            Self::Stale => Level::Note,
            Self::Conflict | Self::Rejected => Level::Error,
            _ => Level::Warning,
        }
    }

    /// Returns whether a group has this state.
    pub(super) fn is_of(self, group: &GroupView, view: &FleetView) -> bool {
        match self {
            Self::Conflict => group.families.iter().any(|family| family.conflicts),
            Self::Rejected => group.rejected.is_some_and(|rejected| Some(rejected) > group.pushed),
            Self::Stub => {
                !group.families.is_empty() && group.pushed.is_none() && group.families.iter().all(own)
            }
            Self::Stale => {
                group.pushed.is_some_and(|pushed| view.read_at.duration_since(pushed) > STALE_AFTER)
            }
            place => place == Self::place(group),
        }
    }

    /// Returns the states of a group, the most important ones first.
    pub(super) fn of(group: &GroupView, view: &FleetView) -> Vec<Self> {
        let mut marks: Vec<Self> = Self::ALL.into_iter().filter(|mark| mark.is_of(group, view)).collect();
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.level()));
        marks
    }

    fn place(group: &GroupView) -> Self {
        match group.source() {
            None => Self::Deleted,
            _ if group.doubt.is_some() || group.owner.is_none() => Self::Unknown,
            Some(Source::Owner) => Self::InPlace,
            Some(Source::Replica) => Self::Replica,
            Some(Source::Former) => Self::LeftBehind,
            Some(Source::Unknown) => Self::Unknown,
        }
    }
}

/// Returns whether a family is one of the two that a gateway adds.
fn own(family: &crate::command::serve::view::FamilyView) -> bool {
    [PUSH_TIME, PUSH_FAILED].contains(&&*family.name)
}
