//! The steps that change a group on its owner: families come back from a gateway that still has them, or go because a client
//! deleted them.

use super::decide::{Action, Case, Copy, Difference, Step};
use super::restored::{GROUP, RestoredFamilies};
use super::sightings::{Sighting, Sightings};
use crate::reason::{Code, Reason};
use crate::transfer::gateway_state::ListedGroup;

impl Case<'_> {
    /// Copies families to the owner, unless a push or a deletion of them may be in flight to it or to their source.
    pub(super) fn restore(
        &self,
        from: usize,
        names: Vec<String>,
        sightings: &mut Sightings,
    ) -> Result<Step, Reason> {
        let copy = |families: Vec<String>| Copy { from, to: self.group.owner, action: Action::Add, families };
        if self.mends || !self.has_new_push(from) {
            return self.send(copy(names));
        }
        let Some(source) = self.group_on(from) else { return Ok(Step::Reread) };
        let in_flight = self.readings.gateway(self.group.owner).gateway.limits.in_flight;
        let (mut old, mut waits) = (Vec::new(), false);
        let group = [GROUP.to_owned()];
        for name in if names.is_empty() { &group[..] } else { &names } {
            let stamp = match source.families.get(name) {
                Some(family) => Some(family.time_stamp),
                None => source.last_push(),
            };
            let Some(stamp) = stamp else { return Ok(Step::Reread) };
            match sightings.of(name, (from, stamp), in_flight) {
                Sighting::Old => old.push(name.clone()),
                Sighting::New => waits = true,
                // Clients push it: the next push reaches the owner, too.
                Sighting::Replaced => {}
            }
        }
        match old.is_empty() {
            _ if waits => Ok(Step::Wait),
            true => Ok(Step::Whole),
            false => self.send(copy(old.into_iter().filter(|name| name != GROUP).collect())),
        }
    }

    /// Removes from the owner what this run stored there although a client had just deleted it.
    pub(super) fn withdraw(&self, families: Vec<String>, restored: &RestoredFamilies) -> Step {
        let owner = self.group.owner;
        let from = families.first().and_then(|name| restored.get(name)).map_or(owner, |copy| copy.from);
        let Some(group) = self.group_on(owner) else { return Step::Reread };
        if !restored.values().any(|copy| copy.is_last_push(group)) {
            let text =
                "it was deleted while it was copied, and the owner got another push since; delete it again";
            let reason = Code::Changed.because(text);
            return Step::Keep(Difference { from, to: owner, families, reason });
        }
        self.drop_from_owner(group, families, from)
    }

    /// Removes families from the owner that were deleted while it was off the ring, or down, unless a push just came.
    pub(super) fn remove_outlived(&self, families: Vec<String>) -> Step {
        let owner = self.group.owner;
        let Some(group) = self.group_on(owner) else { return Step::Reread };
        let Some(last) = group.last_push() else { return Step::Reread };
        if self.is_recent(owner, last) && !self.waited {
            return Step::Wait;
        }
        if self.age(owner, last) <= self.settled() {
            let text = "its replica, which got all pushes since, lacks it; it is removed from the owner once the \
                        owner's last push is older than --settle";
            return Step::Keep(self.difference(families, Code::StaleOwner.because(text)));
        }
        self.drop_from_owner(group, families, self.group.replica.unwrap_or(owner))
    }

    fn drop_from_owner(&self, group: &ListedGroup, families: Vec<String>, from: usize) -> Step {
        let dropped = families.iter().filter(|name| *name != GROUP).count();
        let action = if group.families.len() == dropped { Action::Delete } else { Action::Drop };
        Step::Send(Copy { from, to: self.group.owner, action, families })
    }
}
