//! Deletes groups by their labels and their age, on every gateway where they lie, whoever owns them.
//!
//! Each is read again right before ([`crate::cleanup::delete_batch`]); what changed since it was chosen is left.

use serde::Serialize;

use crate::cleanup::copy::{Age, GroupCopy, deleted};
use crate::cleanup::plan::{DeletionPlan, Selection, delete_by_age};
use crate::command::copies_table::copies_text;
use crate::fleet::group_filter::{GroupFilter, is_older};
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Survey, Unreadable};

/// What `pushring delete` found and did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    /// The copies that were chosen, and what became of them.
    pub(crate) groups: Vec<GroupCopy<Age>>,
    /// Gateways about which nothing can be told, and why: such groups may lie there too.
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Report {
    /// Whether something is left to do. A gateway that cannot be read counts, on the ring or not.
    pub(crate) fn is_unfinished(&self) -> bool {
        let done = if self.dry_run { 0 } else { deleted(&self.groups) };
        self.groups.len() > done || !self.unreadable.is_empty()
    }
}

/// Chooses the groups of a survey that `filter` matches.
pub(crate) fn choose<'s>(fleet: &Fleet, survey: &'s Survey, filter: &GroupFilter) -> DeletionPlan<'s, Age> {
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
