//! Decides which gateway is right about a family of a group, if several hold it or the owner lacks it.
//!
//! Time stamps alone do not decide. Envoy mirrors a push in parallel, so of two quick pushes the replica may store the older
//! one later. A gateway that runs without interruption since a push, and owned its group then, has seen every push and every
//! deletion after it: its word counts. A gateway that restarted may have lost anything.

use jiff::Timestamp;
use pushring_router::Mode;

use super::ring_history::{Holders, RingHistory};
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
    pub(crate) history: &'a RingHistory,
    /// Only in endpoint mode, a push reaches a successor because its owner could not be reached.
    pub(crate) mode: Mode,
}

impl Authority<'_> {
    /// Returns the copy that counts, of all copies of one family. `None`: there is none, or each belongs to a group or a family
    /// that was deleted.
    ///
    /// The caller passes every copy that it read; a copy on a gateway without a witness is ignored.
    pub(crate) fn pick(&self, place: Place<'_>, held: &[Held]) -> Option<Held> {
        let others = held.iter().copied().filter(|copy| copy.on != place.owner);
        let credible =
            others.filter(|copy| self.witness(copy.on).is_some() && !self.refuted(place, *copy, held));
        let best = credible.reduce(|best, copy| self.better(place, best, copy));
        match held.iter().copied().find(|copy| copy.on == place.owner && self.witness(copy.on).is_some()) {
            Some(own) => Some(best.filter(|other| self.overrules(place, *other, own)).unwrap_or(own)),
            None => best,
        }
    }

    /// Returns whether a gateway that owned the group when this copy was stored lacks it now, and has lost nothing since: then
    /// a client deleted it there. A push that the replica stored after that gateway was read, or just before, proves nothing: it
    /// may be under way to the owner.
    fn refuted(&self, place: Place<'_>, copy: Held, held: &[Held]) -> bool {
        let Some(witness) = self.witness(copy.on) else { return false };
        let past = self.history.holders(place.labels, witness.clock.ours(copy.stamp));
        if past.iter().any(|then| then.owner == witness.name) {
            return false;
        }
        let denies = |then: &Holders| {
            let owner = self
                .witnesses
                .iter()
                .position(|other| other.as_ref().is_some_and(|other| other.name == then.owner));
            owner.is_some_and(|owner| {
                held.iter().all(|copy| copy.on != owner)
                    && !self.restarted_since(owner, copy)
                    && (place.replica != Some(copy.on) || self.was_read_after(owner, copy))
            })
        };
        // Two rings may have routed the push. The ring that made this gateway the replica did.
        let as_replica: Vec<_> =
            past.iter().filter(|then| then.successor.as_ref() == Some(&witness.name)).collect();
        if as_replica.is_empty() {
            !past.is_empty() && past.iter().all(denies)
        } else {
            as_replica.into_iter().any(denies)
        }
    }

    /// Returns whether a copy counts although the owner holds the family.
    fn overrules(&self, place: Place<'_>, other: Held, own: Held) -> bool {
        let (Some(theirs), Some(owner)) = (self.witness(other.on), self.witness(own.on)) else {
            return false;
        };
        // The owner read its copy from its file; a push after the file was written is missing there.
        let persisted = owner.started.is_none_or(|started| own.stamp < started);
        if persisted && theirs.clock.ours(other.stamp) > owner.clock.ours(own.stamp) {
            return true;
        }
        let later = is_later((other.stamp, &theirs.clock), (own.stamp, &owner.clock)) == Some(true);
        let past = self.history.holders(place.labels, theirs.clock.ours(other.stamp));
        let saw_it = !past.is_empty()
            && past.iter().all(|then| then.owner == owner.name)
            && !self.restarted_since(own.on, other)
            && self.mode != Mode::Endpoint;
        later && !saw_it
    }

    /// Returns the better of two copies that are not the owner's: the later one, or the replica's if both are of one time.
    fn better(&self, place: Place<'_>, a: Held, b: Held) -> Held {
        let (Some(of_a), Some(of_b)) = (self.witness(a.on), self.witness(b.on)) else { return a };
        let (time_a, time_b) = (of_a.clock.ours(a.stamp), of_b.clock.ours(b.stamp));
        let close = time_a.duration_since(time_b).abs() <= MARGIN;
        match () {
            () if close && place.replica == Some(a.on) => a,
            () if close && place.replica == Some(b.on) => b,
            () if time_b > time_a => b,
            () => a,
        }
    }

    /// Returns whether a gateway may have lost a push of the time of this copy: it started later, or within the error of the
    /// clocks. Then the copy of another gateway is shown rather than hidden.
    fn restarted_since(&self, gateway: usize, copy: Held) -> bool {
        let (Some(gateway), Some(other)) = (self.witness(gateway), self.witness(copy.on)) else {
            return true;
        };
        let Some(started) = gateway.started else { return true };
        let stamp = other.clock.ours(copy.stamp);
        gateway.clock.ours(started) > stamp.checked_sub(MARGIN).unwrap_or(stamp)
    }

    /// Returns whether a gateway was read after this copy was stored, beyond the error of the clock of the copy.
    fn was_read_after(&self, gateway: usize, copy: Held) -> bool {
        let (Some(gateway), Some(other)) = (self.witness(gateway), self.witness(copy.on)) else {
            return false;
        };
        gateway.read.duration_since(other.clock.ours(copy.stamp)) > other.clock.error()
    }

    fn witness(&self, index: usize) -> Option<&Witness> {
        self.witnesses.get(index)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, SystemTime};

    use jiff::SignedDuration;
    use pushring_router::Router;

    use super::*;
    use crate::fleet::source::Fleet;
    use crate::fleet::survey::locate;

    const NAMES: [&str; 4] = ["10.0.0.1:9091", "10.0.0.2:9091", "10.0.0.3:9091", "10.0.0.4:9091"];

    /// Four gateways that started an hour ago, and a ring of all that is 30 minutes old. Times are seconds ago.
    struct Case {
        labels: Labels,
        /// Gateways in the order of the ring, clockwise from the owner.
        order: Vec<usize>,
        witnesses: Vec<Option<Witness>>,
        history: RingHistory,
        mode: Mode,
    }

    fn ago(seconds: i64) -> Timestamp {
        Timestamp::now() - SignedDuration::from_secs(seconds)
    }

    fn fleet(members: &[&str], seconds_ago: u64) -> Fleet {
        let json = serde_json::json!({ "members": members }).to_string();
        Fleet {
            router: Router::parse(json.as_bytes()).unwrap(),
            registered: Vec::new(),
            schemes: BTreeMap::new(),
            skipped: Vec::new(),
            changed: Some(SystemTime::now() - Duration::from_secs(seconds_ago)),
        }
    }

    fn order(fleet: &Fleet, labels: &Labels) -> Vec<usize> {
        let location = locate(&fleet.router, labels).unwrap();
        let key = fleet.router.group(location.path.as_bytes()).unwrap().key;
        let members = &fleet.router.config().members;
        let index = |member: usize| NAMES.iter().position(|name| *name == members[member].name).unwrap();
        fleet.router.ring().clockwise(&key).map(index).collect()
    }

    impl Case {
        fn new() -> Self {
            let (labels, all) =
                (Labels::from([("job".to_owned(), "backup".to_owned())]), fleet(&NAMES, 1800));
            let now = Timestamp::now();
            let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
            let clock = Clock::new(&date, now, now).unwrap();
            let witness = |name: &&str| {
                let started = Some(ago(3600));
                Some(Witness { name: (*name).to_owned(), clock, started, read: now })
            };
            let mut history = RingHistory::default();
            history.observe(&all);
            let (order, witnesses) = (order(&all, &labels), NAMES.iter().map(witness).collect());
            Self { labels, order, witnesses, history, mode: Mode::Cluster }
        }

        fn restart(&mut self, rank: usize, seconds_ago: i64) {
            self.witnesses[self.order[rank]].as_mut().unwrap().started = Some(ago(seconds_ago));
        }

        /// Returns the rank of the copy that counts; copies are pairs of rank and age.
        fn pick(&self, copies: &[(usize, i64)]) -> Option<usize> {
            let held: Vec<_> =
                copies.iter().map(|&(rank, age)| Held { on: self.order[rank], stamp: ago(age) }).collect();
            let authority = Authority { witnesses: &self.witnesses, history: &self.history, mode: self.mode };
            let place =
                Place { labels: &self.labels, owner: self.order[0], replica: self.order.get(1).copied() };
            let picked = authority.pick(place, &held)?;
            self.order.iter().position(|gateway| *gateway == picked.on)
        }

        /// Makes all but this rank the ring of the last 1,000 seconds; ranks change accordingly.
        fn leave(&mut self, rank: usize) {
            let left = self.order.remove(rank);
            let rest: Vec<_> =
                (0..4).filter(|gateway| *gateway != left).map(|gateway| NAMES[gateway]).collect();
            let fleet = fleet(&rest, 1000);
            self.history.observe(&fleet);
            assert_eq!(self.order, order(&fleet, &self.labels));
            self.order.push(left);
        }
    }

    #[test]
    fn the_owner_is_right_while_it_runs() {
        let case = Case::new();
        assert_eq!(case.pick(&[]), None);
        assert_eq!(case.pick(&[(0, 60), (1, 60)]), Some(0));
        // A mirrored push that arrived late.
        assert_eq!(case.pick(&[(0, 60), (1, 30)]), Some(0));
        // A mirrored DELETE was lost.
        assert_eq!(case.pick(&[(1, 60)]), None);
        assert_eq!(case.pick(&[(1, 60), (2, 50)]), None);
    }

    #[test]
    fn in_endpoint_mode_a_successor_may_have_taken_a_push() {
        let case = Case { mode: Mode::Endpoint, ..Case::new() };
        assert_eq!(case.pick(&[(0, 60), (1, 30)]), Some(1));
        assert_eq!(case.pick(&[(0, 60), (1, 59)]), Some(0));
        assert_eq!(case.pick(&[(1, 30)]), None);
    }

    #[test]
    fn an_owner_that_restarted_has_lost_what_it_lacks() {
        let mut case = Case::new();
        case.restart(0, 50);
        assert_eq!(case.pick(&[(1, 60)]), Some(1));
        assert_eq!(case.pick(&[(1, 40)]), None, "it was running when the group was deleted");
        assert_eq!(case.pick(&[(1, 49)]), Some(1), "within the error of the clocks");
        // Pushed again since.
        assert_eq!(case.pick(&[(0, 20), (1, 20)]), Some(0));
        // It read an older copy from its file.
        assert_eq!(case.pick(&[(0, 70), (1, 69)]), Some(1));
        assert_eq!(case.pick(&[(0, 70), (1, 71)]), Some(0));
        case.witnesses[case.order[0]].as_mut().unwrap().started = None;
        assert_eq!(case.pick(&[(1, 60)]), Some(1));
    }

    #[test]
    fn a_push_after_the_owner_was_read_is_no_deletion() {
        let case = Case::new();
        assert_eq!(case.pick(&[(1, 1)]), None);
        assert_eq!(case.pick(&[(1, 0)]), Some(1), "within the error of the clock");
        assert_eq!(case.pick(&[(1, -1)]), Some(1), "stored after the owner was read");
        assert_eq!(case.pick(&[(2, 1)]), None, "no push is under way to the owner and a third gateway");
    }

    #[test]
    fn an_unreadable_owner_has_lost_everything() {
        let mut case = Case::new();
        case.witnesses[case.order[0]] = None;
        assert_eq!(case.pick(&[(0, 10), (1, 60), (2, 59)]), Some(1), "the replica, if both are of one time");
        assert_eq!(case.pick(&[(1, 60), (2, 50)]), Some(2));
    }

    #[test]
    fn a_former_owner_keeps_its_word_until_the_next_push() {
        let mut case = Case::new();
        // The former owner left the ring, and its replica is the owner now.
        case.leave(0);
        assert_eq!(case.pick(&[(3, 1500)]), Some(3), "stored when it was the owner");
        assert_eq!(case.pick(&[(3, 1500), (0, 1500)]), Some(0));
        assert_eq!(case.pick(&[(3, 1500), (0, 500)]), Some(0));
        // A push under the former ring that the replica missed.
        assert_eq!(case.pick(&[(3, 1400), (0, 1500)]), Some(3));
        // Stored under the present ring on a gateway that is not on it: the owner, running, would have it.
        assert_eq!(case.pick(&[(3, 500)]), None);
    }

    #[test]
    fn a_member_that_joined_says_nothing_about_the_time_before() {
        let mut case = Case::new();
        case.leave(0);
        let all = fleet(&NAMES, 200);
        case.history.observe(&all);
        case.order = order(&all, &case.labels);
        // Rank 0 is back; rank 1 was the owner in between, rank 2 its replica.
        assert_eq!(case.pick(&[(1, 500), (2, 500)]), Some(1));
        assert_eq!(case.pick(&[(2, 500)]), None, "deleted on the owner and its replica of today");
        case.restart(1, 400);
        assert_eq!(case.pick(&[(2, 500)]), Some(2), "lost by a restart");
        assert_eq!(case.pick(&[(0, 1500), (1, 500)]), Some(1), "the copy from its first time is older");
    }

    #[test]
    fn an_unknown_past_hides_nothing() {
        let case = Case::new();
        assert_eq!(case.pick(&[(1, 2000)]), Some(1));
        assert_eq!(case.pick(&[(2, 2000), (3, 1999)]), Some(3));
        assert_eq!(case.pick(&[(0, 2100), (3, 2000)]), Some(3));
    }
}
