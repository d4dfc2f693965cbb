//! The report of a repair.

use std::collections::BTreeMap;

use serde::Serialize;

use super::decide::{Action, Copy, Difference};
use super::place::Group;
use super::readings::Cache;
use super::restored::GROUP;
use crate::fleet::unreadable::Unreadable;
use crate::gateway::api::Labels;
use crate::output;
use crate::reason::{Code, Reason};

/// Maximum number of differences in the table; most share one reason.
const SHOWN: usize = 50;

/// The result of a repair.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repaired {
    pub(crate) lines: Vec<Line>,
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A change of one group on one gateway, or a difference that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    pub(crate) labels: Labels,
    /// Name of the gateway that is right.
    pub(crate) from: String,
    /// Name of the gateway that differs, or differed.
    pub(crate) to: String,
    /// The families that differ, or differed; none for a group as a whole.
    pub(crate) families: Vec<String>,
    #[serde(flatten)]
    pub(crate) result: RepairResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub(crate) enum RepairResult {
    /// `to` holds the families now, or would with `dry_run`.
    Copied,
    /// Families that were deleted on `from` are gone from `to`, too.
    Removed,
    Kept {
        #[serde(flatten)]
        reason: Reason,
    },
    /// The request failed, or `to` rejected it.
    Failed {
        #[serde(flatten)]
        reason: Reason,
    },
}

impl Line {
    /// Describes a request that was accepted.
    pub(super) fn sent(group: &Group, copy: Copy, cache: &Cache) -> Self {
        let result = match copy.action {
            Action::Add | Action::Replace => RepairResult::Copied,
            Action::Drop | Action::Delete => RepairResult::Removed,
        };
        let families = copy.families.into_iter().filter(|name| name != GROUP).collect();
        Self {
            labels: group.labels.clone(),
            from: cache.name(copy.from),
            to: cache.name(copy.to),
            families,
            result,
        }
    }

    /// Describes a difference that stays.
    pub(super) fn kept(group: &Group, difference: Difference, cache: &Cache) -> Self {
        let Difference { from, to, families, reason } = difference;
        Self {
            labels: group.labels.clone(),
            from: cache.name(from),
            to: cache.name(to),
            families,
            result: RepairResult::of(reason),
        }
    }
}

impl RepairResult {
    pub(crate) fn of(reason: Reason) -> Self {
        match reason.code {
            Code::PushFailed | Code::DeleteFailed | Code::OwnerRejected | Code::NotStored => {
                Self::Failed { reason }
            }
            _ => Self::Kept { reason },
        }
    }

    /// Returns why the difference stays.
    pub(crate) fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Copied | Self::Removed => None,
            Self::Kept { reason } | Self::Failed { reason } => Some(reason),
        }
    }

    /// Returns the label value of the metrics; `None` if nothing is left to do.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        Some(match self {
            Self::Copied | Self::Removed => return None,
            Self::Failed { .. } => "failed",
            Self::Kept { reason } => match reason.code {
                Code::TypeConflict | Code::NameConflict | Code::SeriesConflict => "conflict",
                Code::StaleReplica => "stale-replica",
                Code::StaleOwner => "stale-owner",
                _ => "doubt",
            },
        })
    }
}

/// Returns the number of changes.
pub(crate) fn changed(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.result.reason().is_none()).count()
}

/// Formats the changes, counted for each pair of gateways, and the differences that stay.
pub(crate) fn text(lines: &[Line], dry_run: bool) -> String {
    let mut counts: BTreeMap<(&str, &str), [usize; 2]> = BTreeMap::new();
    let mut kept = output::table(&["NOT REPAIRED", "FROM", "TO", "REASON"]);
    let mut shown = 0;
    for line in lines {
        let pair = (line.from.as_str(), line.to.as_str());
        match &line.result {
            RepairResult::Copied => counts.entry(pair).or_default()[0] += 1,
            RepairResult::Removed => counts.entry(pair).or_default()[1] += 1,
            RepairResult::Kept { reason } | RepairResult::Failed { reason } => {
                shown += 1;
                if shown <= SHOWN {
                    kept.add_row([&output::group(&line.labels), &line.from, &line.to, &reason.text]);
                }
            }
        }
    }
    let mut text = String::new();
    if !counts.is_empty() {
        let header = if dry_run {
            ["FROM", "TO", "WOULD BE COPIED", "WOULD BE REMOVED"]
        } else {
            ["FROM", "TO", "COPIED", "REMOVED"]
        };
        let mut table = output::table(&header);
        for ((from, to), [copied, removed]) in counts {
            table.add_row([from, to, copied.to_string().as_str(), removed.to_string().as_str()]);
        }
        text += &format!("{table}\n\n");
    }
    if !kept.is_empty() {
        text += &format!("{kept}\n");
        if shown > SHOWN {
            text += &format!("… and {} more; --output json has all\n", shown - SHOWN);
        }
        text += "\n";
    }
    text
}
