//! Every push with its answer, and from it the values that a scrape may show.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use super::exposition::Exposed;
use super::groups::{GROUPS, SERIES};

/// A push that was accepted less than this before its gateway ended need not have reached the replica.
pub(super) const COPIED: Duration = Duration::from_secs(1);
/// A deletion is visible after this time. A replica that misses it may show the group until the push is certainly older than
/// the reading of the owner: the clocks of two gateways are known to 2 s.
pub(super) const DELETED: Duration = Duration::from_secs(3);

/// The effect of a push on a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Replaces the group.
    Put,
    /// Replaces the families that it has.
    Post,
    /// Removes the group.
    Delete,
}

/// The answer to a push.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// 2xx; the gateway if it is known.
    Accepted(Option<usize>),
    /// Another answer or none: the push may have had an effect or not.
    Failed(String),
}

/// One push. Pushes to one group follow one another: each is sent after the answer to the one before.
#[derive(Clone, Debug)]
struct Push {
    method: Method,
    values: Vec<(usize, u64)>,
    sent: Instant,
    /// The answer and its time; `None` while the push is under way.
    done: Option<(Instant, Answer)>,
}

impl Push {
    /// Returns the series after this push: a value, or none. `None` if the push leaves it as it was.
    fn effect(&self, series: usize) -> Option<Option<u64>> {
        let value = self.values.iter().find(|(pushed, _)| *pushed == series).map(|(_, value)| *value);
        match self.method {
            Method::Post if value.is_none() => None,
            _ => Some(value),
        }
    }
}

/// A period at whose end a gateway held nothing: it was killed, or left the ring.
#[derive(Debug)]
struct End {
    gateway: usize,
    from: Instant,
    until: Option<Instant>,
    /// The time before which pushes were then known to be on both gateways.
    copied: Option<Instant>,
}

/// A period in which groups get their second copy again.
#[derive(Debug)]
struct Repair {
    from: Instant,
    until: Option<Instant>,
    /// `None`: any group.
    groups: Option<BTreeSet<usize>>,
}

/// Every push.
#[derive(Debug)]
pub(super) struct Book {
    groups: Vec<Vec<Push>>,
    ends: Vec<End>,
    repairs: Vec<Repair>,
    /// The time before which pushes are known to be on both gateways.
    copied: Option<Instant>,
    /// Number of accepted and of failed pushes.
    pub(super) accepted: u64,
    pub(super) failed: u64,
}

/// A promise that a scrape broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A group or a family is not there.
    Missing,
    /// A value is older than one that was accepted.
    Older,
    /// A group or a family is there although it was deleted.
    Returned,
    /// No broken promise: while the group is repaired, a copy of the state before replaces a newer push, until the repair sees
    /// it.
    Overtaken,
}

/// A broken promise about one group.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) group: usize,
    pub(super) series: usize,
    pub(super) shown: Option<u64>,
    /// The values that the series may have; `None` is no value.
    pub(super) allowed: BTreeSet<Option<u64>>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<u64>| value.map_or("none".to_owned(), |value| value.to_string());
        let allowed: Vec<String> = self.allowed.iter().map(text).collect();
        let (series, shown) = (SERIES[self.series], text(&self.shown));
        write!(f, "{:?}: g{} shows {series} {shown}, allowed: {}", self.kind, self.group, allowed.join(", "))
    }
}

impl Book {
    pub(super) fn new() -> Self {
        Self {
            groups: vec![Vec::new(); GROUPS],
            ends: Vec::new(),
            repairs: Vec::new(),
            copied: None,
            accepted: 0,
            failed: 0,
        }
    }

    /// Records a push, before it is sent.
    pub(super) fn send(&mut self, group: usize, method: Method, values: Vec<(usize, u64)>, sent: Instant) {
        self.groups[group].push(Push { method, values, sent, done: None });
    }

    /// Records the answer to the last push of a group.
    pub(super) fn answer(&mut self, group: usize, answer: Answer, time: Instant) {
        match answer {
            Answer::Accepted(_) => self.accepted += 1,
            Answer::Failed(_) => self.failed += 1,
        }
        if let Some(push) = self.groups[group].last_mut() {
            push.done = Some((time, answer));
        }
    }

    /// Records that a gateway is about to be killed, or to leave the ring.
    pub(super) fn gateway_ends(&mut self, gateway: usize, from: Instant) {
        self.ends.push(End { gateway, from, until: None, copied: self.copied });
    }

    /// Records the moment from which a gateway accepts no push from before its last end.
    pub(super) fn gateway_ended(&mut self, gateway: usize, until: Instant) {
        let end = self.ends.iter_mut().rev().find(|end| end.gateway == gateway);
        if let Some(end) = end {
            end.until = Some(until);
        }
    }

    /// Records that groups lose a copy from now on.
    pub(super) fn repair_begins(&mut self, from: Instant) {
        self.repairs.push(Repair { from, until: None, groups: None });
    }

    /// Records the groups that lost one.
    pub(super) fn repair_concerns(&mut self, groups: BTreeSet<usize>) {
        if let Some(repair) = self.repairs.last_mut() {
            repair.groups = Some(groups);
        }
    }

    /// Records that all groups have two copies, of all pushes before `copied`.
    pub(super) fn repair_ends(&mut self, until: Instant, copied: Instant) {
        self.copied = Some(copied);
        if let Some(repair) = self.repairs.last_mut() {
            repair.until = Some(until);
        }
    }

    /// Returns the time before which pushes are certain even if a group is repaired during a scrape.
    fn before_repair(&self, group: usize, start: Instant, end: Instant) -> Option<Instant> {
        let during = |repair: &&Repair| {
            repair.from < end
                && repair.until.is_none_or(|until| until > start)
                && repair.groups.as_ref().is_none_or(|groups| groups.contains(&group))
        };
        self.repairs.iter().rev().find(during)?.from.checked_sub(COPIED)
    }

    /// Returns the broken promises of a scrape that took this time, at most one of each kind for each group.
    pub(super) fn judge(&self, exposed: &Exposed, start: Instant, end: Instant) -> Vec<Fault> {
        (0..GROUPS).flat_map(|group| self.judge_group(group, exposed, start, end)).collect()
    }

    /// Returns the broken promises about one group.
    pub(super) fn judge_group(
        &self,
        group: usize,
        exposed: &Exposed,
        start: Instant,
        end: Instant,
    ) -> Vec<Fault> {
        let mut faults: Vec<Fault> = Vec::new();
        for series in 0..SERIES.len() {
            let allowed = self.allowed(group, series, start, end);
            let shown = exposed.values.get(&(group, series)).copied();
            if allowed.contains(&shown) {
                continue;
            }
            let before = self.before_repair(group, start, end);
            let overtaken =
                before.is_some_and(|before| self.allowed(group, series, before, end).contains(&shown));
            let kind = match shown {
                _ if overtaken => Kind::Overtaken,
                None => Kind::Missing,
                Some(_) if allowed.iter().all(Option::is_none) => Kind::Returned,
                Some(_) => Kind::Older,
            };
            if faults.iter().all(|fault| fault.kind != kind) {
                faults.push(Fault { kind, group, series, shown, allowed });
            }
        }
        faults
    }

    /// Returns the values that a series may have in a scrape: that of the last push that is certain, and those of all later
    /// ones, as any of them may have had an effect.
    fn allowed(&self, group: usize, series: usize, start: Instant, end: Instant) -> BTreeSet<Option<u64>> {
        let mut allowed = BTreeSet::new();
        let pushes = &self.groups[group];
        for (index, push) in pushes.iter().enumerate().rev().filter(|(_, push)| push.sent < end) {
            if let Some(effect) = push.effect(series) {
                allowed.insert(effect);
                let grace = if effect.is_none() { DELETED } else { Duration::ZERO };
                let before = index.checked_sub(1).map(|before| pushes[before].sent);
                if self.is_certain(push, before, start, end, grace) {
                    return allowed;
                }
            }
        }
        allowed.insert(None);
        allowed
    }

    /// Returns whether a push was accepted before the scrape and its gateway did not end soon after. `before` is the time of the
    /// push before it.
    fn is_certain(
        &self,
        push: &Push,
        before: Option<Instant>,
        start: Instant,
        end: Instant,
        grace: Duration,
    ) -> bool {
        let Some((done, Answer::Accepted(gateway))) = &push.done else { return false };
        let is_close = before.is_some_and(|before| push.sent < before + COPIED);
        let lost = |lost: &End| {
            let is_swapped = is_close && lost.copied.is_some_and(|copied| *done > copied);
            gateway.is_none_or(|gateway| gateway == lost.gateway)
                && lost.from < end
                && (lost.from < *done + COPIED || is_swapped)
                && lost.until.is_none_or(|until| push.sent < until)
        };
        *done + grace < start && !self.ends.iter().any(lost)
    }

    /// Returns the last pushes of a group, for a report.
    pub(super) fn history(&self, group: usize, since: Instant, series: usize) -> Vec<String> {
        let pushes: Vec<&Push> =
            self.groups[group].iter().filter(|push| push.effect(series).is_some()).collect();
        let seconds = |time: Instant| time.duration_since(since).as_secs_f64();
        let line = |push: &&Push| {
            let effect = push.effect(series).flatten();
            let answer = match &push.done {
                None => "under way".to_owned(),
                Some((time, Answer::Accepted(by))) => {
                    format!("accepted at {:.3} s by {by:?}", seconds(*time))
                }
                Some((time, Answer::Failed(why))) => format!("failed at {:.3} s: {why}", seconds(*time)),
            };
            format!("{:?} {effect:?} at {:.3} s, {answer}", push.method, seconds(push.sent))
        };
        pushes.iter().rev().take(8).rev().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::groups;
    use super::*;

    const GROUP: usize = 90;

    /// A book and a clock in milliseconds.
    struct Scene {
        book: Book,
        zero: Instant,
    }

    impl Scene {
        fn new() -> Self {
            Self { book: Book::new(), zero: Instant::now() }
        }

        fn at(&self, milliseconds: u64) -> Instant {
            self.zero + Duration::from_millis(milliseconds)
        }

        /// A push of the first parts that takes 10 ms.
        fn push(&mut self, time: u64, method: Method, parts: &[usize], value: u64, gateway: Option<usize>) {
            let (sent, done) = (self.at(time), self.at(time + 10));
            self.book.send(GROUP, method, groups::values(parts, value), sent);
            let answer =
                gateway.map_or(Answer::Failed("503".to_owned()), |gateway| Answer::Accepted(Some(gateway)));
            self.book.answer(GROUP, answer, done);
        }

        fn kill(&mut self, time: u64, gateway: usize) {
            let (from, until) = (self.at(time), self.at(time + 5));
            self.book.gateway_ends(gateway, from);
            self.book.gateway_ended(gateway, until);
        }

        /// The broken promises of a scrape of 20 ms that shows these values of the first series.
        fn scrape(&self, time: u64, shown: &[(usize, u64)]) -> Vec<Kind> {
            let values = shown.iter().map(|(series, value)| ((GROUP, *series), *value)).collect();
            let exposed = Exposed { values, ..Exposed::default() };
            let faults = self.book.judge(&exposed, self.at(time), self.at(time + 20));
            faults.iter().map(|fault| fault.kind).collect()
        }
    }

    #[test]
    fn a_group_that_is_not_there_is_missing() {
        let mut scene = Scene::new();
        assert_eq!(scene.scrape(100, &[]), []);
        scene.push(1000, Method::Put, &[0, 1], 1, Some(0));
        assert_eq!(scene.scrape(1005, &[]), [], "it began before the answer");
        assert_eq!(scene.scrape(1011, &[]), [Kind::Missing]);
        assert_eq!(scene.scrape(1011, &[(0, 1)]), [Kind::Missing], "a family is missing");
        assert_eq!(scene.scrape(1011, &[(0, 1), (1, 1)]), []);
    }

    #[test]
    fn a_value_from_before_an_accepted_push_is_older() {
        let mut scene = Scene::new();
        scene.push(1000, Method::Post, &[0], 1, Some(0));
        scene.push(2000, Method::Post, &[0], 2, Some(0));
        assert_eq!(scene.scrape(1995, &[(0, 1)]), [], "the push was under way");
        assert_eq!(scene.scrape(1995, &[(0, 2)]), [], "the push was under way");
        assert_eq!(scene.scrape(2011, &[(0, 1)]), [Kind::Older]);
        assert_eq!(scene.scrape(2011, &[(0, 2)]), []);
        assert_eq!(scene.scrape(2011, &[(0, 3)]), [Kind::Older], "no client sent it");
    }

    #[test]
    fn the_last_second_of_a_gateway_may_be_lost_and_nothing_else() {
        let mut scene = Scene::new();
        scene.push(1000, Method::Put, &[0], 1, Some(0));
        scene.push(2000, Method::Put, &[0], 2, Some(0));
        scene.push(3000, Method::Put, &[0], 3, Some(0));
        assert_eq!(scene.scrape(3100, &[(0, 2)]), [Kind::Older], "no gateway was killed yet");
        scene.kill(3500, 1);
        assert_eq!(scene.scrape(3600, &[(0, 2)]), [Kind::Older], "another gateway was killed");
        scene.kill(3700, 0);
        assert_eq!(scene.scrape(3800, &[(0, 2)]), []);
        assert_eq!(scene.scrape(3800, &[(0, 1)]), [Kind::Older]);
        assert_eq!(scene.scrape(3800, &[]), [Kind::Missing]);
        scene.push(4000, Method::Put, &[0], 4, Some(0));
        assert_eq!(scene.scrape(4100, &[(0, 3)]), [Kind::Older], "it was accepted after the kill");
    }

    #[test]
    fn the_replica_may_keep_the_older_of_two_close_pushes_until_a_look() {
        let mut scene = Scene::new();
        scene.book.repair_begins(scene.at(0));
        scene.push(1000, Method::Put, &[0], 1, Some(0));
        scene.push(3000, Method::Put, &[0], 2, Some(0));
        scene.push(3050, Method::Put, &[0], 3, Some(0));
        scene.push(3100, Method::Put, &[0], 4, Some(0));
        scene.book.repair_ends(scene.at(4070), scene.at(3070));
        assert_eq!(scene.scrape(4080, &[(0, 3)]), [Kind::Older], "the owner runs");
        scene.kill(4200, 0);
        assert_eq!(scene.scrape(4300, &[(0, 4)]), []);
        assert_eq!(scene.scrape(4300, &[(0, 3)]), [], "the last push is not covered by the look");
        assert_eq!(scene.scrape(4300, &[(0, 2)]), [Kind::Older], "the look showed the one before");
    }

    #[test]
    fn a_deleted_group_must_not_return() {
        let mut scene = Scene::new();
        scene.push(1000, Method::Put, &[0], 1, Some(0));
        scene.push(2000, Method::Delete, &[], 0, Some(0));
        assert_eq!(scene.scrape(2500, &[(0, 1)]), [], "within the time of a deletion");
        assert_eq!(scene.scrape(5100, &[(0, 1)]), [Kind::Returned]);
        assert_eq!(scene.scrape(5100, &[]), []);
        scene.push(6000, Method::Put, &[0], 2, Some(0));
        assert_eq!(scene.scrape(6100, &[(0, 1)]), [Kind::Older], "it returned and hides the new one");
    }

    #[test]
    fn a_family_that_a_put_removed_must_not_return() {
        let mut scene = Scene::new();
        scene.push(1000, Method::Put, &[0, 1], 1, Some(0));
        scene.push(2000, Method::Put, &[0], 2, Some(0));
        assert_eq!(scene.scrape(5100, &[(0, 2), (1, 1)]), [Kind::Returned]);
        assert_eq!(scene.scrape(5100, &[(0, 2)]), []);
    }

    #[test]
    fn a_repair_may_show_what_was_certain_before_it() {
        let mut scene = Scene::new();
        scene.push(1000, Method::Put, &[0], 1, Some(0));
        scene.push(2000, Method::Put, &[0], 2, Some(0));
        scene.book.repair_begins(scene.at(4000));
        scene.push(4100, Method::Put, &[0], 3, Some(0));
        assert_eq!(scene.scrape(4200, &[(0, 2)]), [Kind::Overtaken]);
        assert_eq!(scene.scrape(4200, &[(0, 1)]), [Kind::Older]);
        assert_eq!(scene.scrape(4200, &[]), [Kind::Missing]);
        scene.book.repair_ends(scene.at(6000), scene.at(5000));
        assert_eq!(scene.scrape(5900, &[(0, 2)]), [Kind::Overtaken]);
        assert_eq!(scene.scrape(6100, &[(0, 2)]), [Kind::Older]);
        scene.book.repair_concerns(BTreeSet::from([GROUP + 1]));
        assert_eq!(scene.scrape(5900, &[(0, 2)]), [Kind::Older], "another group was repaired");
    }

    #[test]
    fn a_failed_push_may_have_had_an_effect() {
        let mut scene = Scene::new();
        scene.push(1000, Method::Put, &[0], 1, Some(0));
        scene.push(2000, Method::Put, &[0], 2, None);
        assert_eq!(scene.scrape(3500, &[(0, 1)]), []);
        assert_eq!(scene.scrape(3500, &[(0, 2)]), []);
        assert_eq!(scene.scrape(3500, &[]), [Kind::Missing]);
        scene.push(4000, Method::Delete, &[], 0, None);
        assert_eq!(scene.scrape(8000, &[]), []);
        assert_eq!(scene.scrape(8000, &[(0, 1)]), []);
    }
}
