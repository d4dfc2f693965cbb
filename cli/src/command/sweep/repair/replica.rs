//! The steps that make the replica of a group equal to its owner.

use super::decide::{Action, Case, Copy, Step};
use crate::reason::{Code, Reason};
use crate::transfer::gateway_state::ListedGroup;

impl Case<'_> {
    /// Makes the replica equal to the owner.
    pub(super) fn replicate(
        &self,
        replica: usize,
        copy: Vec<String>,
        stale: Vec<String>,
    ) -> Result<Step, Reason> {
        let (owner, theirs) = (self.group_on(self.group.owner), self.group_on(replica));
        let from = self.group.owner;
        let Some(owner) = owner else {
            return if theirs.is_some() { self.remove(replica, stale) } else { Ok(Step::Whole) };
        };
        if !stale.is_empty() {
            if let Some(step) = self.too_young(replica, &stale) {
                return Ok(step);
            }
            let mut families = [copy, stale].concat();
            families.sort();
            return self.send(Copy { from, to: replica, action: Action::Replace, families });
        }
        let families = self.not_in_flight(owner, theirs, copy);
        let is_empty = theirs.is_none() && owner.families.is_empty();
        match families {
            Some(families) if families.is_empty() && !is_empty => Ok(Step::Whole),
            Some(families) => self.send(Copy { from, to: replica, action: Action::Add, families }),
            None => Ok(Step::Wait),
        }
    }

    /// Returns the families of the owner that the replica lacks although they are not in flight; `None` if it is too early for
    /// that.
    fn not_in_flight(
        &self,
        owner: &ListedGroup,
        theirs: Option<&ListedGroup>,
        names: Vec<String>,
    ) -> Option<Vec<String>> {
        let mut missed = Vec::new();
        for name in names {
            let family =
                |group: Option<&ListedGroup>| group?.families.get(&name).map(|family| family.time_stamp);
            let on_replica = family(theirs);
            let is_new = family(Some(owner)).is_some_and(|stamp| self.is_recent(self.group.owner, stamp));
            // The replica gets pushes of this family, too: the next one ends the difference.
            let keeps_up = on_replica.is_some_and(|stamp| {
                self.group.replica.is_some_and(|replica| self.is_recent(replica, stamp))
            });
            match () {
                () if is_new && keeps_up && !self.mends => {}
                () if is_new && !self.waited => return None,
                () => missed.push(name),
            }
        }
        Some(missed)
    }

    /// Deletes a group on the replica that was deleted on its owner.
    fn remove(&self, replica: usize, stale: Vec<String>) -> Result<Step, Reason> {
        if let Some(step) = self.too_young(replica, &stale) {
            return Ok(step);
        }
        let all = self.group_on(replica).is_some_and(|group| group.families.len() == stale.len());
        if !all {
            let text = "the owner lacks the group, but not every family on the replica is certainly deleted";
            return Err(Code::StaleReplica.because(text));
        }
        Ok(Step::Send(Copy { from: self.group.owner, to: replica, action: Action::Delete, families: stale }))
    }

    /// Requires that a push to the replica, if it reached the owner at the same time, has long been stored there.
    fn too_young(&self, replica: usize, stale: &[String]) -> Option<Step> {
        let last = self.group_on(replica)?.last_push()?;
        if self.is_recent(replica, last) && !self.waited {
            return Some(Step::Wait);
        }
        (self.age(replica, last) <= self.settled()).then(|| {
            let text = "the owner lacks it; it is removed from the replica once its last push is older than --settle";
            Step::Keep(self.difference(stale.to_vec(), Code::StaleReplica.because(text)))
        })
    }
}
