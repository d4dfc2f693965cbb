//! The groups that are not whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Repair;
use super::decide::{Case, Difference, Step};
use super::place::Group;
use super::readings::{Cache, Readings};
use super::report::Line;
use super::restored::RestoredFamilies;
use super::rounds::Progress;
use super::sightings::Sightings;
use crate::fleet::authority::Authority;
use crate::reason::{Code, Reason};

/// Maximum number of consecutive readings of a group that are of no use.
const MAX_REREADS: u32 = 20;

/// A group that is not whole.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) group: Arc<Group>,
    pub(super) seen: Instant,
    pub(super) due: Instant,
    /// The contents of these gateways must be newer.
    pub(super) outdated: BTreeSet<usize>,
    pub(super) requests: u32,
    pub(super) rereads: u32,
    pub(super) restored: RestoredFamilies,
    pub(super) sightings: Sightings,
    pub(super) lines: Vec<Line>,
}

/// Returns the groups of a reading that are not whole, neighbors on the ring together.
pub(super) fn tasks(run: &Repair<'_>, cache: &Cache) -> Vec<Task> {
    let (now, readings) = (Instant::now(), cache.as_read());
    let task = |group: Group| {
        let (mut restored, mut sightings) = (RestoredFamilies::new(), Sightings::default());
        let step = case(run, &group, &readings, [false; 2]).decide(&mut restored, &mut sightings);
        let pause = if step == Step::Wait {
            cache.gateway(group.owner).gateway.limits.in_flight
        } else {
            Duration::ZERO
        };
        (step != Step::Whole).then(|| Task {
            outdated: BTreeSet::new(),
            group: Arc::new(group),
            seen: now,
            due: now + pause,
            requests: 0,
            rereads: 0,
            restored,
            sightings,
            lines: Vec::new(),
        })
    };
    let mut tasks: Vec<_> = cache.groups(run).into_iter().filter_map(task).collect();
    let authority = Authority {
        witnesses: &readings.witnesses,
        past: run.past,
        mode: run.fleet.router.config().mode,
        now: Timestamp::now(),
    };
    authority.saw_only(cache.labels());
    // Neighbors involve the same gateways.
    tasks.sort_by_key(|task| (task.group.owner, task.group.replica));
    tasks
}

/// Returns the facts for a decision about a group: `waited` and `mends` as in [`Case`].
pub(super) fn case<'a>(
    run: &'a Repair<'_>,
    group: &'a Group,
    readings: &'a Readings<'a>,
    [waited, mends]: [bool; 2],
) -> Case<'a> {
    let (past, mode, settle) = (run.past, run.fleet.router.config().mode, run.settle);
    Case { group, readings, past, mode, settle, waited, mends }
}

impl Task {
    /// Reads the contents of these gateways again; without any, of all that the group involves.
    pub(super) fn reread(&mut self, outdated: BTreeSet<usize>) -> Progress {
        self.rereads += 1;
        if self.rereads <= MAX_REREADS {
            return Progress::Reread(if outdated.is_empty() {
                self.group.involved.clone()
            } else {
                outdated
            });
        }
        let reason = if self.requests > 0 {
            Code::NotStored
                .because("it was accepted, but is not stored, or it receives pushes all the time; run again")
        } else {
            Code::Changed.because("it receives pushes all the time; run again")
        };
        Progress::Finished(Some(self.difference(reason)))
    }

    pub(super) fn difference(&self, reason: Reason) -> Difference {
        let owner = self.group.owner;
        Difference { from: owner, to: self.group.replica.unwrap_or(owner), families: Vec::new(), reason }
    }
}
