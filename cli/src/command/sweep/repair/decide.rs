//! The next step for one group: the rules that prevent the loss of data.
//!
//! The owner first, because the replica gets what the owner holds. A push that is in flight looks like a push that was lost,
//! so a group that was pushed just now is read once more,
//! [`Limits::in_flight`](crate::gateway::time_limits::Limits) later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pushring_router::Mode;

use super::place::Group;
use super::readings::Readings;
use super::restored::{Fate, GROUP, RestoredFamilies};
use super::sightings::{Sighting, Sightings};
use crate::fleet::authority::{Authority, GroupAuthority, Held};
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

/// The families of a group that differ, by what to do about them.
#[derive(Debug, Default)]
struct Families {
    /// Families that the owner gets, by the index of their source.
    restore: BTreeMap<usize, Vec<String>>,
    /// Families on the owner that came from the replica and were deleted there since.
    withdraw: Vec<String>,
    /// Families on the owner that the replica lacks, or holds with other values.
    copy: Vec<String>,
    /// Families on the replica that were deleted on the owner.
    stale: Vec<String>,
    /// Families on the owner that were deleted while it was off the ring, or that it loaded from its file.
    outlived: Vec<String>,
    /// Families that a gateway has accepted but does not hold yet.
    missing: bool,
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

    /// Removes families from the owner that were deleted while it was off the ring, or down, unless a push just came.
    fn remove_outlived(&self, families: Vec<String>) -> Step {
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

    /// Returns the age from which a push is certainly stored on both gateways.
    fn settled(&self) -> SignedDuration {
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
    fn copies(&self) -> impl Iterator<Item = (usize, &GatewayState, &ListedGroup)> {
        self.group.involved.iter().filter_map(|&on| {
            let state = self.readings.state(on).ok()?;
            let group = state.groups.get(&self.group.labels)?;
            // An ambiguous copy on a third gateway is no source.
            (group.ambiguity.is_none() && !group.is_stub()).then_some((on, state, group))
        })
    }

    fn group_on(&self, on: usize) -> Option<&ListedGroup> {
        self.copies().find(|(index, _, _)| *index == on).map(|(_, _, group)| group)
    }

    /// Compares all families. `None` if the exposition of a gateway lacks one that its API lists.
    fn families(&self, restored: &mut RestoredFamilies) -> Result<Option<Families>, Reason> {
        let names: BTreeSet<&String> =
            self.copies().flat_map(|(_, _, group)| group.families.keys()).collect();
        let mut found = Families::default();
        restored.retain(|name, copy| {
            let fate = copy.fate(name, self.group, self.readings);
            match fate {
                Fate::Stands | Fate::Foreign => {}
                Fate::Replaced => found.restore.entry(copy.from).or_default().push(name.clone()),
                Fate::Deleted => found.withdraw.push(name.clone()),
                Fate::Gone => found.stale.extend(self.is_on_replica(name).then(|| name.clone())),
                Fate::Missing => found.missing = true,
            }
            fate != Fate::Foreign
        });
        let authority = self.authority();
        let authority = authority.about(self.group.place());
        for name in names {
            let Some(()) = self.family(name, &authority, restored, &mut found) else { return Ok(None) };
        }
        self.empty_group(&authority, restored, &mut found);
        Ok(Some(found))
    }

    fn is_on_replica(&self, name: &str) -> bool {
        let group = self.group.replica.and_then(|replica| self.group_on(replica));
        group.is_some_and(|group| group.families.contains_key(name))
    }

    /// Compares one family. `None` as [`Case::families`].
    fn family(
        &self,
        name: &String,
        authority: &GroupAuthority<'_>,
        restored: &RestoredFamilies,
        found: &mut Families,
    ) -> Option<()> {
        let mut values = BTreeMap::new();
        let mut held = Vec::new();
        for (on, state, group) in self.copies() {
            let Some(family) = group.families.get(name) else { continue };
            values.insert(on, (&family.kind, state.values(name, family)?));
            held.push(Held { on, stamp: family.time_stamp });
        }
        let own = values.get(&self.group.owner);
        let on_replica = self.group.replica.and_then(|replica| values.get(&replica));
        if own.is_none() && restored.contains_key(name) {
            return Some(());
        }
        // If all copies are equal, and owner and replica have one, none has to be right.
        let is_equal = own.is_some() && on_replica == own && values.values().all(|other| Some(other) == own);
        let right = match own {
            Some(_) if is_equal || restored.contains_key(name) => Some(self.group.owner),
            _ => authority.pick(&held).map(|copy| copy.on),
        };
        match right {
            Some(on) if on != self.group.owner && values.get(&on) != own => {
                found.restore.entry(on).or_default().push(name.clone());
            }
            Some(_) if on_replica != own => found.copy.push(name.clone()),
            None if own.is_some() => found.outlived.push(name.clone()),
            None if on_replica.is_some() => found.stale.push(name.clone()),
            // The replica holds the same; a sweep decides about copies on other gateways.
            Some(_) | None => {}
        }
        Some(())
    }

    fn authority(&self) -> Authority<'_> {
        Authority {
            witnesses: &self.readings.witnesses,
            past: self.past,
            mode: self.mode,
            now: Timestamp::now(),
        }
    }

    /// A group without families, which a push without a body stores: its push counts as its family.
    fn empty_group(&self, authority: &GroupAuthority<'_>, restored: &RestoredFamilies, found: &mut Families) {
        if restored.contains_key(GROUP) || self.copies().any(|(_, _, group)| !group.families.is_empty()) {
            return;
        }
        let held = |(on, _, group): (usize, _, &ListedGroup)| Some(Held { on, stamp: group.last_push()? });
        let held: Vec<_> = self.copies().filter_map(held).collect();
        match (authority.pick(&held), self.group_on(self.group.owner)) {
            (Some(right), None) => drop(found.restore.entry(right.on).or_default()),
            (None, Some(_)) => found.outlived.push(GROUP.to_owned()),
            _ => {}
        }
    }

    /// Makes the replica equal to the owner.
    fn replicate(&self, replica: usize, copy: Vec<String>, stale: Vec<String>) -> Result<Step, Reason> {
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

    /// Returns whether a push of this time, by the gateway's clock, may be in flight to another gateway.
    fn is_recent(&self, on: usize, stamp: Timestamp) -> bool {
        let in_flight = self.readings.gateway(on).gateway.limits.in_flight;
        self.age(on, stamp) <= SignedDuration::try_from(in_flight).unwrap_or(MARGIN)
    }

    fn age(&self, on: usize, stamp: Timestamp) -> SignedDuration {
        self.readings.state(on).map_or(SignedDuration::ZERO, |state| state.clock.age(stamp))
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

    /// Copies families to the owner, unless a push or a deletion of them may be in flight to it or to their source.
    fn restore(&self, from: usize, names: Vec<String>, sightings: &mut Sightings) -> Result<Step, Reason> {
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

    /// Returns whether the last push to the owner, or to this gateway, may be in flight to the other. The error of the clocks delays
    /// the word of an owner that a push was deleted.
    fn has_new_push(&self, other: usize) -> bool {
        let last = [other, self.group.owner].map(|on| Some((on, self.group_on(on)?.last_push()?)));
        last.into_iter()
            .flatten()
            .any(|(on, last)| self.is_recent(on, last) || self.age(on, last) <= 2 * MARGIN)
    }

    /// Sends a copy unless it conflicts, or a push is in flight.
    fn send(&self, copy: Copy) -> Result<Step, Reason> {
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

    /// Removes from the owner what this run stored there although a client had just deleted it.
    fn withdraw(&self, families: Vec<String>, restored: &RestoredFamilies) -> Step {
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

    fn difference(&self, families: Vec<String>, reason: Reason) -> Difference {
        let owner = self.group.owner;
        Difference { from: owner, to: self.group.replica.unwrap_or(owner), families, reason }
    }
}
