//! The report of `pushring expire`.

use serde::Serialize;

use crate::cleanup::copy::{Age, GroupCopy, deleted};
use crate::command::copies_table::copies_text;
use crate::fleet::unreadable::Unreadable;

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    /// Number of copies that are not due, or whose job does not expire.
    pub(crate) fresh: usize,
    /// Copies that are due or have an unknown age, with their result.
    pub(crate) groups: Vec<GroupCopy<Age>>,
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Report {
    /// Returns whether the next run has groups to delete or gateways to read.
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
