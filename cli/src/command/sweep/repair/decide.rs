//! The next step for one group: the rules that prevent the loss of data.
//!
//! The owner first, because the replica gets what the owner holds. A push that is in flight looks like a push that was lost,
//! so a group that was pushed just now is read once more,
//! [`Limits::in_flight`](crate::gateway::time_limits::Limits) later.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pushring_router::Mode;

use super::families::Families;
use super::place::Group;
use super::readings::Readings;
use super::restored::RestoredFamilies;
use super::sightings::Sightings;
use crate::fleet::authority::Authority;
use crate::fleet::past::Past;
use crate::gateway::api::Labels;
use crate::gateway::clock::{MARGIN, is_later};
use crate::reason::{Code, Reason};
use crate::transfer::conflict::{conflict, same_series};
use crate::transfer::gateway_state::{GatewayState, ListedGroup};

/// The decision about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Owner and replica hold the same.
    Whole,
    /// A push arrived while the gateways were read: read them again.
    Reread,
    /// A push may be in flight: read again later.
    Wait,
    Send(Copy),
    Keep(Difference),
}

/// A request to one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) action: Action,
    /// The families that change.
    pub(super) families: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// POST the families.
    Add,
    /// PUT all families of the source, because the receiver holds families that were deleted.
    Replace,
    /// PUT all families of the receiver itself except for these.
    Drop,
    /// DELETE the group.
    Delete,
}

/// A difference that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) families: Vec<String>,
    pub(super) reason: Reason,
}

/// The facts for a decision about one group.
pub(super) struct Case<'a> {
    pub(super) group: &'a Group,
    pub(super) readings: &'a Readings<'a>,
    pub(super) past: &'a Past,
    pub(super) mode: Mode,
    pub(super) settle: Duration,
    /// Whether the group was first seen so long ago that the pushes of that time have arrived.
    pub(super) waited: bool,
    /// Whether this run changed the group: then a difference is no push in flight.
    pub(super) mends: bool,
}

impl Case<'_> {
    /// Decides from one reading. `restored` are the families that this run stored on the owner, `sightings` those that it may
    /// have to store there.
    pub(super) fn decide(&self, restored: &mut RestoredFamilies, sightings: &mut Sightings) -> Step {
        match self.try_decide(restored, sightings) {
            Ok(step) => step,
            Err(reason) => Step::Keep(self.difference(Vec::new(), reason)),
        }
    }

    fn try_decide(&self, restored: &mut RestoredFamilies, sightings: &mut Sightings) -> Result<Step, Reason> {
        let Some(replica) = self.group.replica else { return Ok(Step::Whole) };
        let (owner, copy) = (self.readings.state(self.group.owner)?, self.readings.state(replica)?);
        for state in [owner, copy] {
            self.check(state)?;
        }
        let labels = &self.group.labels;
        let held = self.copies().any(|(_, state, _)| !state.agrees(labels));
        if held || !owner.agrees(labels) || !copy.agrees(labels) {
            return Ok(Step::Reread);
        }
        let Some(families) = self.families(restored)? else { return Ok(Step::Reread) };
        if families.missing {
            return Ok(Step::Reread);
        }
        if let Some((from, names)) = families.restore.into_iter().next() {
            return self.restore(from, names, sightings);
        }
        if !families.withdraw.is_empty() {
            return Ok(self.withdraw(families.withdraw, restored));
        }
        // The source of a copy stays until the next run: as long as it holds a family, no client has deleted it there.
        let Families { copy, stale, outlived, .. } = families;
        let kept = if outlived.is_empty() {
            None
        } else {
            match self.remove_outlived(outlived) {
                kept @ Step::Keep(_) if !stale.is_empty() => return Ok(kept),
                kept @ Step::Keep(_) => Some(kept),
                step => return Ok(step),
            }
        };
        let is_equal = copy.is_empty() && stale.is_empty() && kept.is_none() && restored.is_empty();
        if is_equal {
            self.authority().about(self.group.place()).saw_whole([self.group.owner, replica].into_iter());
        }
        Ok(match self.replicate(replica, copy, stale)? {
            Step::Whole if is_equal => self.remove_former(replica),
            Step::Whole => kept.unwrap_or(Step::Whole),
            step => step,
        })
    }

    /// Returns the age from which a push is certainly stored on both gateways.
    pub(super) fn settled(&self) -> SignedDuration {
        SignedDuration::try_from(self.settle).unwrap_or(SignedDuration::MAX).max(MARGIN)
    }

    /// Deletes a copy on a gateway that is neither owner nor replica, if these two are equal and no family there counts: each is
    /// newer on the owner, or was deleted. If it stayed, it would count as soon as both gateways that know this had restarted.
    fn remove_former(&self, replica: usize) -> Step {
        let settle = self.settled();
        let mut former = self.copies().filter(|(on, _, group)| {
            let is_former = *on != self.group.owner && *on != replica;
            is_former && group.last_push().is_some_and(|last| self.age(*on, last) > settle)
        });
        let Some((to, _, group)) = former.next() else { return Step::Whole };
        let families = group.families.keys().cloned().collect();
        Step::Send(Copy { from: self.group.owner, to, action: Action::Delete, families })
    }

    /// Refuses a gateway that does not show the group reliably.
    fn check(&self, state: &GatewayState) -> Result<(), Reason> {
        if let Some(ambiguity) =
            state.groups.get(&self.group.labels).and_then(|group| group.ambiguity.as_ref())
        {
            return Err(ambiguity.clone());
        }
        if let Some(ambiguity) = state.groups.get(&Labels::new()).and_then(|group| group.ambiguity.as_ref()) {
            let text = format!("its owner or replica has a group that may be this one: {ambiguity}");
            return Err(Code::OwnerLabelsUnknown.because(text));
        }
        let clock = (Timestamp::UNIX_EPOCH, &state.clock);
        if is_later(clock, clock).is_none() {
            let text = "a gateway responded too slowly to determine its clock offset; run again";
            return Err(Code::ClockUncertain.because(text));
        }
        Ok(())
    }

    /// Iterates over the copies of the group on all gateways of the reading.
    pub(super) fn copies(&self) -> impl Iterator<Item = (usize, &GatewayState, &ListedGroup)> {
        self.group.involved.iter().filter_map(|&on| {
            let state = self.readings.state(on).ok()?;
            let group = state.groups.get(&self.group.labels)?;
            // An ambiguous copy on a third gateway is no source.
            (group.ambiguity.is_none() && !group.is_stub()).then_some((on, state, group))
        })
    }

    pub(super) fn group_on(&self, on: usize) -> Option<&ListedGroup> {
        self.copies().find(|(index, _, _)| *index == on).map(|(_, _, group)| group)
    }

    pub(super) fn authority(&self) -> Authority<'_> {
        Authority {
            witnesses: &self.readings.witnesses,
            past: self.past,
            mode: self.mode,
            now: Timestamp::now(),
        }
    }

    /// Returns whether a push of this time, by the gateway's clock, may be in flight to another gateway.
    pub(super) fn is_recent(&self, on: usize, stamp: Timestamp) -> bool {
        let in_flight = self.readings.gateway(on).gateway.limits.in_flight;
        self.age(on, stamp) <= SignedDuration::try_from(in_flight).unwrap_or(MARGIN)
    }

    pub(super) fn age(&self, on: usize, stamp: Timestamp) -> SignedDuration {
        self.readings.state(on).map_or(SignedDuration::ZERO, |state| state.clock.age(stamp))
    }

    /// Returns whether the last push to the owner, or to this gateway, may be in flight to the other. The error of the clocks delays
    /// the word of an owner that a push was deleted.
    pub(super) fn has_new_push(&self, other: usize) -> bool {
        let last = [other, self.group.owner].map(|on| Some((on, self.group_on(on)?.last_push()?)));
        last.into_iter()
            .flatten()
            .any(|(on, last)| self.is_recent(on, last) || self.age(on, last) <= 2 * MARGIN)
    }

    /// Sends a copy unless it conflicts, or a push is in flight.
    pub(super) fn send(&self, copy: Copy) -> Result<Step, Reason> {
        let to_owner = copy.to == self.group.owner;
        let role = if to_owner { "owner" } else { "replica" };
        let (source, target) = (self.readings.state(copy.from)?, self.readings.state(copy.to)?);
        let Some(group) = source.groups.get(&self.group.labels) else { return Ok(Step::Reread) };
        if copy.action == Action::Replace && !self.waited && self.has_new_push(copy.to) {
            return Ok(Step::Wait);
        }
        let pushed: Vec<String> = match copy.action {
            Action::Replace => group.families.keys().cloned().collect(),
            _ => copy.families.clone(),
        };
        let reason = same_series((target, role), &self.group.labels)
            .or_else(|| conflict((target, role), group, &pushed));
        Ok(match reason {
            Some(reason) => {
                Step::Keep(Difference { from: copy.from, to: copy.to, families: copy.families, reason })
            }
            None => Step::Send(copy),
        })
    }

    pub(super) fn difference(&self, families: Vec<String>, reason: Reason) -> Difference {
        let owner = self.group.owner;
        Difference { from: owner, to: self.group.replica.unwrap_or(owner), families, reason }
    }
}
