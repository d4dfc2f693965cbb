//! What was found and done.

use serde::Serialize;

use crate::cleanup::copy::{Age, GroupCopy, deleted};
use crate::command::copies_table::copies_text;
use crate::fleet::survey::Unreadable;

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    /// How many copies of groups are not due: too young, or of a job that never expires.
    pub(crate) fresh: usize,
    /// Copies that are due, or of which that cannot be told, and what became of them.
    pub(crate) groups: Vec<GroupCopy<Age>>,
    /// Gateways about which nothing can be told, and why.
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Report {
    /// Whether something is left to do.
    pub(crate) fn is_unfinished(&self) -> bool {
        let done = if self.dry_run { 0 } else { deleted(&self.groups) };
        self.groups.len() > done || self.unreadable.iter().any(|gateway| gateway.on_ring)
    }
}

pub(crate) fn text(report: &Report) -> String {
    let deleted = deleted(&report.groups);
    let verb = if report.dry_run { "would be deleted" } else { "deleted" };
    format!(
        "{}{}{} fresh, {deleted} {verb}, {} kept",
        copies_text(&report.groups, report.dry_run),
        Unreadable::lines(&report.unreadable),
        report.fresh,
        report.groups.len() - deleted
    )
}
