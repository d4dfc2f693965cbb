//! The copies of groups that a command deletes, keeps or skips.

use pushring_router::Router;

use crate::cleanup::copy::{Age, DeletionResult, GroupCopy, KeepReason, Removal};
use crate::fleet::survey::{Groups, Survey, locate_group, seconds};
use crate::gateway::api::StoredGroup;
use crate::gateway::values::Values;

pub(crate) enum Selection<'s, D> {
    /// The command does not apply to the copy.
    Skip,
    Delete(D, Removal<'s>),
    /// The command applies to the copy but must not delete it.
    Keep(D, KeepReason),
}

#[derive(Debug)]
pub(crate) struct DeletionPlan<'s, D> {
    /// The copies to report; those to delete already count as deleted.
    pub(crate) copies: Vec<GroupCopy<D>>,
    /// Number of other copies.
    pub(crate) skipped: usize,
    pub(crate) removals: Vec<Removal<'s>>,
    /// Indices in `copies`, one for each removal.
    indices: Vec<usize>,
}

impl<'s, D> DeletionPlan<'s, D> {
    /// Calls `select` for every copy: index of its gateway, that gateway's groups, the group.
    pub(crate) fn new(
        survey: &'s Survey,
        mut select: impl FnMut(usize, &'s Groups, &'s StoredGroup<Values>) -> Selection<'s, D>,
    ) -> Self {
        let mut plan = Self { copies: Vec::new(), skipped: 0, removals: Vec::new(), indices: Vec::new() };
        for (on, groups, group) in survey.copies() {
            let (detail, result) = match select(on, groups, group) {
                Selection::Skip => {
                    plan.skipped += 1;
                    continue;
                }
                Selection::Keep(detail, reason) => (detail, DeletionResult::Kept { reason }),
                Selection::Delete(detail, removal) => {
                    let why = removal.why;
                    plan.indices.push(plan.copies.len());
                    plan.removals.push(removal);
                    (detail, DeletionResult::Deleted { why })
                }
            };
            plan.copies.push(GroupCopy { labels: group.labels.clone(), on: survey.name(on), detail, result });
        }
        plan
    }

    /// Returns the copies with the results of the removals.
    pub(crate) fn finish(mut self, results: Vec<DeletionResult>) -> Vec<GroupCopy<D>> {
        for (index, result) in self.indices.into_iter().zip(results) {
            self.copies[index].result = result;
        }
        self.copies
    }
}

/// Returns the age of a group; that of a stub is the time since its last rejected push.
pub(crate) fn age(groups: &Groups, group: &StoredGroup<Values>) -> Age {
    let rejection = || {
        Some(
            groups
                .status
                .clock
                .age(group.last_rejection().filter(|_| group.is_stub() && group.ambiguity.is_none())?),
        )
    };
    Age { age_seconds: groups.age(group).or_else(rejection).map(seconds) }
}

/// Selects a copy for deletion regardless of its owner, if a push path leads to it.
pub(crate) fn delete_by_age<'s>(
    router: &Router,
    (on, groups): (usize, &Groups),
    group: &'s StoredGroup<Values>,
) -> Selection<'s, Age> {
    let age = age(groups, group);
    match locate_group(router, group) {
        Ok(location) => Selection::Delete(
            age,
            Removal { on, group, path: location.path, owner: None, replica: None, why: None },
        ),
        Err(reason) => Selection::Keep(age, KeepReason::Uncertain(reason)),
    }
}
