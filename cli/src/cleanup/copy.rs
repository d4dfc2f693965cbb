//! A copy of a group on one gateway, and the result of its deletion.

use serde::{Serialize, Serializer};

use crate::gateway::api::{Labels, StoredGroup};
use crate::gateway::values::Values;
use crate::reason::{Code, Reason};
use crate::text::line;

/// A copy of a group; `D` holds the fields that only one command reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct GroupCopy<D> {
    pub(crate) labels: Labels,
    /// Name of the gateway that stores it.
    pub(crate) on: String,
    #[serde(flatten)]
    pub(crate) detail: D,
    #[serde(flatten)]
    pub(crate) result: DeletionResult,
}

/// Seconds since the last accepted push, by the gateway's clock; of a stub, since the last rejected push. `None`: unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Age {
    pub(crate) age_seconds: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub(crate) enum DeletionResult {
    /// The copy was deleted, or would be with `dry_run`; `why` only where that needs a reason.
    Deleted {
        #[serde(rename = "reason", skip_serializing_if = "Option::is_none")]
        why: Option<&'static str>,
    },
    Kept {
        #[serde(flatten)]
        reason: KeepReason,
    },
    /// The gateway rejected the deletion, or did not answer and may or may not have deleted it.
    Failed {
        #[serde(flatten)]
        reason: Reason,
    },
}

/// Why a copy must stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeepReason {
    /// The owner does not hold the group at all.
    LeftBehind,
    /// The owner lacks these families.
    Lacking(Vec<String>),
    /// These families (or the group's last push) are not provably newer on the owner.
    NotNewer(Vec<String>),
    /// The owner holds all of it, newer, but its replica does not, for this reason.
    Unreplicated(Reason),
    /// The comparison was impossible, for this reason.
    Uncertain(Reason),
}

/// A group to delete from one gateway.
#[derive(Clone, Debug)]
pub(crate) struct Removal<'s> {
    /// Index of the gateway in the survey.
    pub(crate) on: usize,
    /// The group as the survey found it there.
    pub(crate) group: &'s StoredGroup<Values>,
    /// A push path of the group.
    pub(crate) path: String,
    /// Index in the survey of the gateway that must hold every family of it, newer. `None`: it is
    /// deleted whatever other gateways hold.
    pub(crate) owner: Option<usize>,
    /// Index of the gateway that must hold every family of it, too, as its replica.
    pub(crate) replica: Option<usize>,
    pub(crate) why: Option<&'static str>,
}

/// Returns the number of copies that were (or would be) deleted.
pub(crate) fn deleted<D>(copies: &[GroupCopy<D>]) -> usize {
    copies.iter().filter(|copy| matches!(copy.result, DeletionResult::Deleted { .. })).count()
}

impl DeletionResult {
    pub(crate) fn kept(reason: Reason) -> Self {
        Self::Kept { reason: KeepReason::Uncertain(reason) }
    }
}

impl Removal<'_> {
    /// Returns the gateways on which the decision depends.
    pub(crate) fn gateways_involved(&self) -> impl Iterator<Item = usize> {
        [Some(self.on), self.owner, self.replica].into_iter().flatten()
    }
}

impl KeepReason {
    pub(crate) fn to_reason(&self) -> Reason {
        match self {
            Self::LeftBehind => Code::LeftBehind.because("the owner has no copy"),
            Self::Lacking(names) => Code::Lacking.because(format!("the owner lacks {}", list(names))),
            Self::NotNewer(names) => {
                Code::NotNewer.because(format!("not provably newer on the owner: {}", list(names)))
            }
            Self::Unreplicated(reason) | Self::Uncertain(reason) => reason.clone(),
        }
    }

    /// Returns the label value of the metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::LeftBehind => "left-behind",
            Self::Lacking(_) => "lacking",
            Self::NotNewer(_) => "not-newer",
            Self::Unreplicated(_) => "unreplicated",
            Self::Uncertain(_) => "doubt",
        }
    }
}

impl Serialize for KeepReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_reason().serialize(serializer)
    }
}

/// Lists the first names.
pub(crate) fn list(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).map(|name| line(name)).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
