//! The report of a pass.

use std::collections::BTreeMap;

use serde::Serialize;

use super::heal::{Healed, Poison};
use super::repair::report::{self as repair, Line, Repaired, changed};
use crate::cleanup::copy::{DeletionResult, GroupCopy, deleted};
use crate::fleet::unreadable::Unreadable;
use crate::output;

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    /// Number of copies on their owner.
    pub(crate) in_place: usize,
    /// Number of copies on the replica of their group; only with `mirror: all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replicas: Option<usize>,
    /// All other copies, with their result.
    pub(crate) misplaced: Vec<GroupCopy<Owner>>,
    /// Gateways that cannot be read; the groups that they hold or own were left unchanged.
    pub(crate) unreadable: Vec<Unreadable>,
    /// Stubs that poison their gateway, with their result; only with `--heal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healed: Option<Vec<GroupCopy<Poison>>>,
    /// Changes of groups on their owner or replica, and differences that stay; only with `--repair`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repaired: Option<Vec<Line>>,
}

/// Name of the gateway that owns a copy's group. `None`: unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Owner {
    pub(crate) owner: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassResult {
    Completed,
    /// A dry run: members settle, or deleting was not safe.
    Paused,
    Failed,
}

impl PassResult {
    /// Returns the label value of the metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Completed => "done",
            Self::Paused => "held",
            Self::Failed => "failed",
        }
    }
}

impl Report {
    /// Adds the result of healing. A stub that was deleted is no longer kept as a copy.
    pub(crate) fn heal(&mut self, healed: Healed) {
        let is_gone = |copy: &GroupCopy<Owner>| {
            let same = |stub: &GroupCopy<Poison>| stub.labels == copy.labels && stub.on == copy.on;
            matches!(copy.result, DeletionResult::Kept { .. })
                && healed
                    .stubs
                    .iter()
                    .any(|stub| same(stub) && matches!(stub.result, DeletionResult::Deleted { .. }))
        };
        self.misplaced.retain(|copy| !is_gone(copy));
        self.add_unreadable(healed.unreadable);
        self.healed = Some(healed.stubs);
    }

    /// Adds the result of a repair.
    pub(crate) fn repair(&mut self, repaired: Repaired) {
        self.add_unreadable(repaired.unreadable);
        self.repaired = Some(repaired.lines);
    }

    fn add_unreadable(&mut self, gateways: Vec<Unreadable>) {
        for gateway in gateways {
            if self.unreadable.iter().all(|known| known.gateway != gateway.gateway) {
                self.unreadable.push(gateway);
            }
        }
    }

    /// Returns the changes of a repair, and the differences that stay; none without `--repair`.
    pub(crate) fn repaired(&self) -> &[Line] {
        self.repaired.as_deref().unwrap_or_default()
    }

    /// Returns the stubs that poison their gateway; none without `--heal`.
    pub(crate) fn stubs(&self) -> &[GroupCopy<Poison>] {
        self.healed.as_deref().unwrap_or_default()
    }

    /// Returns whether the next sweep has copies to delete or gateways to read.
    pub(crate) fn is_unfinished(&self) -> bool {
        let done = if self.dry_run { 0 } else { deleted(&self.misplaced) };
        let stubs = self.stubs();
        let healed = if self.dry_run { 0 } else { deleted(stubs) };
        let repaired = if self.dry_run { 0 } else { changed(self.repaired()) };
        self.misplaced.len() > done
            || self.repaired().len() > repaired
            || stubs.len() > healed
            || self.unreadable.iter().any(|gateway| gateway.on_ring)
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
            DeletionResult::Kept { reason } => reason.to_reason().text,
            DeletionResult::Failed { reason } => reason.to_string(),
        };
        kept.add_row([&output::group(&copy.labels), &copy.on, owner, &reason]);
    }
    let mut text = repair::text(report.repaired(), report.dry_run);
    if !counts.is_empty() {
        let header = if report.dry_run { "WOULD BE DELETED" } else { "DELETED" };
        let mut table = output::table(&["FROM", "OWNER", header]);
        for ((on, owner), count) in &counts {
            table.add_row([on, owner, count.to_string().as_str()]);
        }
        text += &format!("{}\n\n", table);
    }
    if !kept.is_empty() {
        text += &format!("{}\n\n", kept);
    }
    text += &stubs_text(report);
    text += &Unreadable::lines(&report.unreadable);
    let deleted = deleted(&report.misplaced);
    let verb = if report.dry_run { "would be deleted" } else { "deleted" };
    text + &format!(
        "{} in place, {}{deleted} {verb}, {} kept{}{}",
        report.in_place,
        report.replicas.map_or_else(String::new, |count| format!("{count} on replicas, ")),
        report.misplaced.len() - deleted,
        match &report.healed {
            Some(stubs) if report.dry_run => format!(", {} would be healed", self::deleted(stubs)),
            Some(stubs) => format!(", {} healed", self::deleted(stubs)),
            None => String::new(),
        },
        match &report.repaired {
            Some(lines) => {
                let (verb, done) =
                    (if report.dry_run { "would be repaired" } else { "repaired" }, changed(lines));
                format!(", {done} {verb}, {} not repaired", lines.len() - done)
            }
            None => String::new(),
        }
    )
}

fn stubs_text(report: &Report) -> String {
    let mut table =
        output::table(&["STUB", "GATEWAY", if report.dry_run { "ACTION" } else { "RESULT" }, "POISON"]);
    for stub in report.stubs() {
        let result = match &stub.result {
            DeletionResult::Deleted { .. } if report.dry_run => "delete".to_owned(),
            DeletionResult::Deleted { .. } => "deleted".to_owned(),
            DeletionResult::Kept { reason } => format!("kept: {}", reason.to_reason()),
            DeletionResult::Failed { reason } => format!("failed: {reason}"),
        };
        table.add_row([&output::group(&stub.labels), &stub.on, &result, &stub.detail.poison]);
    }
    if table.is_empty() { String::new() } else { format!("{table}\n\n") }
}
