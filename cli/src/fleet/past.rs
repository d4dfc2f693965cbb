//! The knowledge of one process about the time before a reading: the rings, and the gateways that it saw whole.
//!
//! A gateway that restarted may have lost anything. Once a reading shows that it holds all of a group again, its word about that
//! group counts as if it had never restarted: what it lacks later was deleted later. This memory is lost with the process; then
//! less is known, and more is shown.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};

use super::ring_history::RingHistory;
use super::source::Fleet;
use crate::gateway::api::Labels;
use crate::transfer::gateway_state::Series;

/// Groups are forgotten when no gateway held them for this long.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Most groups that are remembered, of about 400 bytes each. Further groups are not, until others are forgotten.
const MOST: usize = 100_000;

/// The rings, and the gateways that were seen whole.
#[derive(Debug, Default)]
pub(crate) struct Past {
    rings: RingHistory,
    /// By labels.
    groups: RwLock<HashMap<Series, Group>>,
}

#[derive(Debug)]
struct Group {
    /// On the ring.
    position: u64,
    whole: Vec<Whole>,
    /// Last time at which a gateway held it.
    last: Timestamp,
}

/// A process that was seen to hold all of a group and nothing else.
#[derive(Debug)]
struct Whole {
    gateway: String,
    /// Start of the process, by its clock.
    started: Timestamp,
    since: Timestamp,
}

/// A process that is whole in a reading that has just ended, and holds the group since `member_since`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a> {
    pub(super) gateway: &'a str,
    pub(super) started: Timestamp,
    pub(super) member_since: Timestamp,
    pub(super) now: Timestamp,
}

impl Past {
    /// Adds the ring of a fleet that was just read.
    pub(crate) fn observe(&mut self, fleet: &Fleet) {
        if !self.rings.observe(fleet) {
            self.groups.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    pub(super) fn rings(&self) -> &RingHistory {
        &self.rings
    }

    /// Returns a time before which this process was seen to be whole for the first time. Only a reading that began later shows what it
    /// lacks since.
    pub(super) fn whole_since(&self, labels: &Labels, gateway: (&str, Timestamp)) -> Option<Timestamp> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        let whole = &groups.get(&Series::from(labels))?.whole;
        whole.iter().find(|seen| (&*seen.gateway, seen.started) == gateway).map(|seen| seen.since)
    }

    /// Notes that a process was whole.
    pub(super) fn saw_whole(&self, labels: &Labels, position: u64, sight: Sight<'_>) {
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        let (key, is_full) = (Series::from(labels), groups.len() >= MOST);
        if is_full && !groups.contains_key(&key) {
            return;
        }
        let new = || Group { position, whole: Vec::new(), last: sight.now };
        let group = groups.entry(key).or_insert_with(new);
        group.last = group.last.max(sight.now);
        group.saw(sight);
    }

    /// Notes the gateways that hold nothing of the groups that a reading did not show, which are all but `shown`. `sights` returns
    /// them for a position.
    pub(super) fn saw_absent<'l, 's>(
        &self,
        shown: impl Iterator<Item = &'l Labels>,
        sights: impl Fn(u64) -> Vec<Sight<'s>>,
    ) {
        let shown: HashSet<Series> = shown.map(Series::from).collect();
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        for (_, group) in groups.iter_mut().filter(|(key, _)| !shown.contains(key)) {
            sights(group.position).into_iter().for_each(|sight| group.saw(sight));
        }
        if let Ok(limit) = Timestamp::now().checked_sub(KEPT) {
            groups.retain(|_, group| group.last > limit);
        }
    }
}

impl Group {
    fn saw(&mut self, Sight { gateway, started, member_since, now }: Sight<'_>) {
        match self.whole.iter_mut().find(|seen| seen.gateway == gateway) {
            // Another process, or the gateway left the ring in between.
            Some(seen) if seen.started != started || seen.since < member_since => {
                (seen.started, seen.since) = (started, now);
            }
            Some(_) => {}
            None => self.whole.push(Whole { gateway: gateway.to_owned(), started, since: now }),
        }
    }
}
