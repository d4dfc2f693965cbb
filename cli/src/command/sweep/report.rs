//! What a pass found and did.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cleanup::copy::{DeletionResult, GroupCopy, deleted};
use crate::fleet::survey::Unreadable;
use crate::output;

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    /// Groups that lie on their owner.
    pub(crate) in_place: usize,
    /// Copies that lie elsewhere, and what became of them.
    pub(crate) misplaced: Vec<GroupCopy<Owner>>,
    /// Gateways about which nothing can be told, and why. What they hold, and what they own, was left alone.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// Name of the gateway that owns a copy's group; none where its labels cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Owner {
    pub(crate) owner: Option<String>,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassResult {
    /// It did what was to be done.
    Completed,
    /// Nothing was touched: members settle, or it was not safe.
    Paused,
    Failed,
}

impl PassResult {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Completed => "done",
            Self::Paused => "held",
            Self::Failed => "failed",
        }
    }
}

impl Report {
    /// Whether something is left to do.
    pub(crate) fn is_unfinished(&self) -> bool {
        let done = if self.dry_run { 0 } else { deleted(&self.misplaced) };
        self.misplaced.len() > done || self.unreadable.iter().any(|gateway| gateway.on_ring)
    }
}

pub(crate) fn text(report: &Report) -> String {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut kept = output::table(&["GROUP", "GATEWAY", "OWNER", "REASON"]);
    for copy in &report.misplaced {
        let owner = copy.detail.owner.as_deref().unwrap_or("?");
        let reason = match &copy.result {
            DeletionResult::Deleted { .. } => {
                *counts.entry((&copy.on, owner)).or_default() += 1;
                continue;
            }
            DeletionResult::Kept { reason } => reason.to_string(),
            DeletionResult::Failed { reason } => reason.clone(),
        };
        kept.add_row([&output::group(&copy.labels), &copy.on, owner, &reason]);
    }
    let mut text = String::new();
    if !counts.is_empty() {
        let header = if report.dry_run { "WOULD BE DELETED" } else { "DELETED" };
        let mut table = output::table(&["FROM", "OWNER", header]);
        for ((on, owner), count) in &counts {
            table.add_row([on, owner, count.to_string().as_str()]);
        }
        text += &format!("{}\n\n", table.trim_fmt());
    }
    if kept.row_count() > 0 {
        text += &format!("{}\n\n", kept.trim_fmt());
    }
    text += &Unreadable::lines(&report.unreadable);
    let deleted = deleted(&report.misplaced);
    let verb = if report.dry_run { "would be deleted" } else { "deleted" };
    text + &format!(
        "{} in place, {deleted} {verb}, {} kept",
        report.in_place,
        report.misplaced.len() - deleted
    )
}
