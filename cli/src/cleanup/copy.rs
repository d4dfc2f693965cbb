//! A copy of a group on one gateway, and what became of it.

use std::fmt;

use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};

use crate::gateway::api::{Labels, StoredGroup};

/// A copy of a group; `D` is what else a command reports about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct GroupCopy<D> {
    pub(crate) labels: Labels,
    /// Name of the gateway on which it lies.
    pub(crate) on: String,
    #[serde(flatten)]
    pub(crate) detail: D,
    #[serde(flatten)]
    pub(crate) result: DeletionResult,
}

/// Seconds since the last push of a copy that was taken, by its gateway's clock; none: never, or it cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Age {
    pub(crate) age_seconds: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub(crate) enum DeletionResult {
    /// It was deleted, or with `dry_run` would be; why it may go, where that needs a reason.
    Deleted {
        #[serde(rename = "reason", skip_serializing_if = "Option::is_none")]
        why: Option<&'static str>,
    },
    Kept {
        reason: KeepReason,
    },
    /// Its gateway refused the deletion or did not answer: it may or may not have taken it.
    Failed {
        reason: String,
    },
}

/// Why a copy must stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeepReason {
    /// The owner does not have the group at all.
    LeftBehind,
    /// The owner lacks these families.
    Lacking(Vec<String>),
    /// The owner has these families (or the group's last push), but not certainly newer.
    NotNewer(Vec<String>),
    /// It cannot be told.
    Uncertain(String),
}

/// A group to delete from one gateway.
#[derive(Clone, Debug)]
pub(crate) struct Removal<'s> {
    /// Index of the gateway in the survey.
    pub(crate) on: usize,
    /// As the survey found it there.
    pub(crate) group: &'s StoredGroup<IgnoredAny>,
    /// A push path of the group.
    pub(crate) path: String,
    /// The gateway that must hold every family of it, newer; index in the survey. `None`: it goes whatever others hold.
    pub(crate) owner: Option<usize>,
    /// See [`DeletionResult::Deleted`].
    pub(crate) why: Option<&'static str>,
}

/// How many copies were (or would be) deleted.
pub(crate) fn deleted<D>(copies: &[GroupCopy<D>]) -> usize {
    copies.iter().filter(|copy| matches!(copy.result, DeletionResult::Deleted { .. })).count()
}

impl DeletionResult {
    pub(crate) fn kept(reason: impl Into<String>) -> Self {
        Self::Kept { reason: KeepReason::Uncertain(reason.into()) }
    }
}

impl Removal<'_> {
    /// The gateways that the decision rests on.
    pub(crate) fn gateways_involved(&self) -> impl Iterator<Item = usize> {
        [Some(self.on), self.owner].into_iter().flatten()
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftBehind => f.write_str("the owner has no copy"),
            Self::Lacking(names) => write!(f, "the owner lacks {}", list(names)),
            Self::NotNewer(names) => write!(f, "the owner's is not certainly newer: {}", list(names)),
            Self::Uncertain(reason) => f.write_str(reason),
        }
    }
}

impl KeepReason {
    /// The kind of reason, in a word to count by.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::LeftBehind => "left-behind",
            Self::Lacking(_) => "lacking",
            Self::NotNewer(_) => "not-newer",
            Self::Uncertain(_) => "doubt",
        }
    }
}

/// As people read it.
impl Serialize for KeepReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Some names, and how many more.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
