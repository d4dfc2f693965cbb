//! Selects groups by labels and age, on every gateway that stores them, whether it owns them or not.
//!
//! [`crate::cleanup::delete_batch`] reads each group again and keeps it if it changed since the selection.

use serde::Serialize;

use crate::cleanup::copy::{Age, GroupCopy, deleted};
use crate::cleanup::plan::{DeletionPlan, Selection, delete_by_age};
use crate::command::copies_table::copies_text;
use crate::fleet::group_filter::{GroupFilter, is_older};
use crate::fleet::source::Fleet;
use crate::fleet::survey::Survey;
use crate::fleet::unreadable::Unreadable;

/// The report of `pushring delete`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    /// The selected copies, with their result.
    pub(crate) groups: Vec<GroupCopy<Age>>,
    /// Gateways that cannot be read and may store selected groups, too.
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Report {
    /// Returns whether a selected group is left, or may be left on a gateway that cannot be read.
    pub(crate) fn is_unfinished(&self) -> bool {
        let done = if self.dry_run { 0 } else { deleted(&self.groups) };
        self.groups.len() > done || !self.unreadable.is_empty()
    }
}

/// Plans to delete the groups of a survey that `filter` matches.
pub(crate) fn plan<'s>(fleet: &Fleet, survey: &'s Survey, filter: &GroupFilter) -> DeletionPlan<'s, Age> {
    DeletionPlan::new(survey, |on, groups, group| {
        let is_old = filter.older_than.is_none_or(|than| is_older(groups.age(group), than));
        if is_old && filter.matches(&group.labels) {
            delete_by_age(&fleet.router, (on, groups), group)
        } else {
            Selection::Skip
        }
    })
}

pub(crate) fn text(report: &Report) -> String {
    let deleted = deleted(&report.groups);
    let verb = if report.dry_run { "would be deleted" } else { "deleted" };
    format!(
        "{}{}{deleted} {verb}, {} kept",
        copies_text(&report.groups, report.dry_run),
        Unreadable::lines(&report.unreadable),
        report.groups.len() - deleted
    )
}
