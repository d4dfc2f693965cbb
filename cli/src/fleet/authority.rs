//! Decides which gateway is right about a family of a group, if several hold it or one of them lacks it.
//!
//! Time stamps alone do not decide. Envoy mirrors a push in parallel, so of two quick pushes the replica may store the older
//! one later; a repair stores an old value with a new time stamp; and a gateway that was off the ring, or loaded its file,
//! missed what happened in the meantime. Therefore:
//!
//! * A gateway *knows* a group since a time if every ring since then made it owner or replica and its process runs since then,
//!   or if a reading since then showed it [whole](super::past). It has got every push and every deletion since.
//! * A copy is *up to date* if its gateway knows the group since the copy's time stamp.
//! * A copy is refuted if a gateway that knows the group since then lacks it: a client deleted it. A replica does not refute the
//!   owner's copy that is up to date: it may have missed the push.
//! * The owner's copy counts if two are up to date. A copy that is not loses against one that is, unless its time stamp is
//!   certainly later and the other gateway may have missed that push. If no copy is up to date, the latest one counts.
//!
//! A copy about which no gateway knows more is shown rather than hidden.

use jiff::Timestamp;
use pushring_router::Mode;

use super::past::{Past, Sight};
use super::ring_history::Tenure;
use crate::gateway::api::Labels;
use crate::gateway::clock::{Clock, MARGIN, is_later};

/// A gateway that answered, at the time of the reading.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    /// Name on the ring, or the name of its registration.
    pub(crate) name: String,
    pub(crate) clock: Clock,
    /// Start of its process, by its clock. `None` if it reports none: then it may have lost everything.
    pub(crate) started: Option<Timestamp>,
    /// Time by our clock before it was read.
    pub(crate) read: Timestamp,
}

/// One copy of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Index of its gateway among the witnesses.
    pub(crate) on: usize,
    /// Time of its push, by the gateway's clock.
    pub(crate) stamp: Timestamp,
}

/// The place of a group: indices of gateways among the witnesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'l> {
    pub(crate) labels: &'l Labels,
    pub(crate) owner: usize,
    /// The first successor, if pushes are mirrored to it.
    pub(crate) replica: Option<usize>,
}

/// The knowledge of one reading of the fleet.
#[derive(Debug)]
pub(crate) struct Authority<'a> {
    /// By index of the gateway; `None`: it could not be read.
    pub(crate) witnesses: &'a [Option<Witness>],
    pub(crate) past: &'a Past,
    /// Only in endpoint mode, a push reaches a successor because its owner could not be reached.
    pub(crate) mode: Mode,
    /// Time by our clock after the reading.
    pub(crate) now: Timestamp,
}

/// The knowledge about one group.
#[derive(Debug)]
pub(crate) struct GroupAuthority<'a> {
    witnesses: &'a [Option<Witness>],
    past: &'a Past,
    mode: Mode,
    now: Timestamp,
    place: Place<'a>,
    position: Option<u64>,
    /// Owner and replica, if they could be read.
    holders: Vec<Holder>,
}

/// A gateway that holds the group now.
#[derive(Debug)]
struct Holder {
    on: usize,
    tenure: Tenure,
    /// The time since which it is known to be whole.
    whole: Option<Timestamp>,
}

impl<'a> Authority<'a> {
    /// Looks up what is known about a group.
    pub(crate) fn about(&self, place: Place<'a>) -> GroupAuthority<'a> {
        let (witnesses, past, mode, now) = (self.witnesses, self.past, self.mode, self.now);
        let position = past.rings().position(place.labels);
        let holder = |tenure: Tenure| {
            let (on, Witness { started, read, .. }) = self.find(&tenure)?;
            let whole = started.and_then(|started| past.whole_since(place.labels, (&tenure.name, started)));
            // Another reading, which began later, may have ended before.
            let whole = whole.filter(|since| since <= read);
            Some(Holder { on, whole: whole.filter(|since| *since >= tenure.since), tenure })
        };
        let tenures = position.map_or(Vec::new(), |position| past.rings().tenures(position));
        let holders = tenures.into_iter().filter_map(holder).collect();
        GroupAuthority { witnesses, past, mode, now, place, position, holders }
    }

    /// Notes that a reading of all gateways showed no other groups than these.
    pub(crate) fn saw_only<'l>(&self, groups: impl Iterator<Item = &'l Labels>) {
        if self.witnesses.iter().any(Option::is_none) {
            return;
        }
        self.past.saw_absent(groups, |position| {
            let tenures = self.past.rings().tenures(position).into_iter();
            tenures.filter_map(|tenure| self.find(&tenure)?.1.sight(&tenure, self.now)).collect()
        });
    }

    fn find(&self, tenure: &Tenure) -> Option<(usize, &'a Witness)> {
        let mut readable =
            self.witnesses.iter().enumerate().filter_map(|(on, witness)| Some((on, witness.as_ref()?)));
        readable.find(|(_, witness)| witness.name == tenure.name)
    }
}

impl Witness {
    /// Describes a gateway that is whole; `None` as long as an Envoy may use a former ring.
    fn sight(&self, tenure: &Tenure, now: Timestamp) -> Option<Sight<'_>> {
        let is_adopted = tenure.covers(self.read);
        let (gateway, member_since) = (&*self.name, tenure.since);
        is_adopted.then_some(Sight { gateway, started: self.started?, member_since, now })
    }
}

impl GroupAuthority<'_> {
    /// Returns the copy that counts, of all copies of one family. `None`: there is none, or each belongs to a group or a family
    /// that was deleted.
    ///
    /// The caller passes every copy that it read; a copy on a gateway without a witness is ignored.
    pub(crate) fn pick(&self, held: &[Held]) -> Option<Held> {
        let readable = held.iter().copied().filter(|copy| self.witness(copy.on).is_some());
        readable.filter(|copy| !self.is_refuted(*copy, held)).reduce(|best, copy| self.better(best, copy))
    }

    /// Notes that these gateways hold all of the group and nothing else, each family with the value that counts, in a reading of
    /// all gateways. It has no effect for others than owner and replica, and as long as an Envoy may use a former ring.
    pub(crate) fn saw_whole(&self, on: impl Iterator<Item = usize>) {
        let Some(position) = self.position.filter(|_| self.witnesses.iter().all(Option::is_some)) else {
            return;
        };
        for on in on {
            let holder = self.holders.iter().find(|holder| holder.on == on);
            let (Some(holder), Some(witness)) = (holder, self.witness(on)) else { continue };
            if let Some(sight) = witness.sight(&holder.tenure, self.now) {
                self.past.saw_whole(self.place.labels, position, sight);
            }
        }
    }

    /// Returns whether owner or replica lacks the family although it would have it.
    fn is_refuted(&self, copy: Held, held: &[Held]) -> bool {
        let up_to_date = self.is_up_to_date(copy);
        self.holders.iter().any(|holder| {
            held.iter().all(|copy| copy.on != holder.on)
                && (!up_to_date || holder.on == self.place.owner && copy.on != self.place.owner)
                && (holder.whole.is_some() || self.is_witness_since(holder, &holder.tenure, copy))
                && self.was_read_after(holder.on, copy)
        })
    }

    /// Returns whether the gateway of this copy has got every push since.
    fn is_up_to_date(&self, copy: Held) -> bool {
        let Some(holder) = self.holders.iter().find(|holder| holder.on == copy.on) else { return false };
        let Some(witness) = self.witness(copy.on) else { return false };
        // A new member may get a push as soon as its ring is published.
        let stored = witness.clock.ours(copy.stamp).saturating_add(witness.clock.error());
        let was_member = stored.is_ok_and(|stored| stored >= holder.tenure.since);
        let from_file = witness.started.is_none_or(|started| copy.stamp < started);
        holder.whole.is_some() || was_member && !from_file
    }

    /// Returns the better of two copies that are not refuted.
    fn better(&self, a: Held, b: Held) -> Held {
        let (high, low) = if self.rank(a.on) <= self.rank(b.on) { (a, b) } else { (b, a) };
        let (Some(of_high), Some(of_low)) = (self.witness(high.on), self.witness(low.on)) else {
            return high;
        };
        let is_later = |(x, of_x): (Held, &Witness), (y, of_y): (Held, &Witness)| {
            is_later((x.stamp, &of_x.clock), (y.stamp, &of_y.clock)) == Some(true)
        };
        let low_is_later = is_later((low, of_low), (high, of_high));
        match (self.is_up_to_date(high), self.is_up_to_date(low)) {
            (true, _) if low_is_later && !self.saw_push_of(high.on, low) => low,
            (true, _) => high,
            (false, true) if is_later((high, of_high), (low, of_low)) && !self.saw_push_of(low.on, high) => {
                high
            }
            (false, true) => low,
            (false, false) => {
                // A file may be written long before the process ends, so a copy of about the same time may be newer.
                let from_file = of_high.started.is_none_or(|started| high.stamp < started);
                let is_newer = of_low.clock.ours(low.stamp) > of_high.clock.ours(high.stamp);
                let is_alike = from_file || self.rank(high.on) == self.rank(low.on);
                if low_is_later || is_alike && is_newer { low } else { high }
            }
        }
    }

    /// Returns whether a gateway has certainly got the push of this copy, and is right about it: it has been the owner since.
    fn saw_push_of(&self, on: usize, copy: Held) -> bool {
        let holder = self.holders.iter().find(|holder| holder.on == on);
        let tenure = holder.and_then(|holder| Some((holder, holder.tenure.as_owner()?)));
        self.mode != Mode::Endpoint
            && tenure.is_some_and(|(holder, tenure)| self.is_witness_since(holder, &tenure, copy))
    }

    /// Returns whether a gateway has got every push from that of this copy on. A process that started later, or within the error
    /// of the clocks, may have lost it: then the copy is shown rather than hidden.
    fn is_witness_since(&self, holder: &Holder, tenure: &Tenure, copy: Held) -> bool {
        let (Some(witness), Some(other)) = (self.witness(holder.on), self.witness(copy.on)) else {
            return false;
        };
        let stored = other.clock.ours(copy.stamp);
        let runs = witness.started.is_some_and(|started| {
            witness.clock.ours(started).checked_add(MARGIN).is_ok_and(|started| started <= stored)
        });
        tenure.covers(stored) && (runs || holder.whole.is_some_and(|whole| whole <= stored))
    }

    /// Returns whether a gateway was read after this copy was stored, beyond the error of the clock of the copy. If not, the push
    /// may be under way to it.
    fn was_read_after(&self, gateway: usize, copy: Held) -> bool {
        let (Some(gateway), Some(other)) = (self.witness(gateway), self.witness(copy.on)) else {
            return false;
        };
        gateway.read.duration_since(other.clock.ours(copy.stamp)) > other.clock.error()
    }

    fn rank(&self, on: usize) -> usize {
        match () {
            () if on == self.place.owner => 0,
            () if self.place.replica == Some(on) => 1,
            () => 2,
        }
    }

    fn witness(&self, index: usize) -> Option<&Witness> {
        self.witnesses.get(index)?.as_ref()
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
