//! Every push with its answer, and from it the values that a scrape may show.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::exposition::Exposed;
use super::fault::{Fault, Kind};
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
mod tests;
