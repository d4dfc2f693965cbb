//! Selects groups by labels and age, on every gateway that stores them, whether it owns them or not.
//!
//! [`crate::cleanup::delete_batch`] reads each group again and keeps it if it changed since the selection.

use serde::Serialize;

use crate::cleanup::copy::{Age, GroupCopy, KeepReason, deleted};
use crate::cleanup::pair::{Partner, partner};
use crate::cleanup::plan::{DeletionPlan, Selection, age, delete_by_age};
use crate::command::copies_table::copies_text;
use crate::fleet::group_filter::{GroupFilter, is_older};
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Groups, Survey};
use crate::fleet::unreadable::Unreadable;
use crate::gateway::api::StoredGroup;
use crate::gateway::values::Values;

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
        if !filter.matches(&group.labels) {
            return Selection::Skip;
        }
        if let Some(than) = filter.older_than {
            let is_old = |at: &Groups, group: &StoredGroup<Values>| is_older(at.age(group), than);
            match partner(fleet, survey, on, group) {
                _ if !is_old(groups, group) => return Selection::Skip,
                Partner::Copy(at, copy) if !is_old(at, copy) => return Selection::Skip,
                Partner::Unknown(reason) => {
                    return Selection::Keep(age(groups, group), KeepReason::Uncertain(reason));
                }
                Partner::Copy(..) | Partner::None => {}
            }
        }
        delete_by_age(&fleet.router, (on, groups), group)
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
