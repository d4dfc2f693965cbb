//! Repairs groups in rounds. Each round reads some gateways and acts on the groups between them while the readings are fresh.
//!
//! A group that was changed is finished only by a reading that began
//! [`Limits::confirm_after`](crate::gateway::time_limits::Limits) later and shows nothing left to do: a push
//! that arrived between a reading and the copy is then known.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::Repair;
use super::act::{self, Sent};
use super::decide::{Copy, Difference, Step};
use super::readings::{Cache, Readings};
use super::report::Line;
use super::task::{Task, case, tasks};
use crate::reason::{Code, Reason};

/// Number of gateways per round, as for deletions: these are read in a fraction of the maximum decision age.
const GATEWAYS: usize = 24;
/// Interval at which signals are checked while nothing is due, and at which a group is read again.
const PAUSE: Duration = Duration::from_millis(100);
/// Interval at which contents are read while groups are left for which nothing was sent yet.
const REFRESH: Duration = Duration::from_secs(3);
/// Maximum number of requests for one group.
const MAX_REQUESTS: u32 = 6;
/// Maximum number of consecutive rounds between two gateways that are too slow to act on.
const MAX_SLOW_ROUNDS: u32 = 6;

/// The result of a round for one group.
pub(super) enum Progress {
    /// Nothing is left to do, or a difference stays.
    Finished(Option<Difference>),
    /// A request was sent.
    Sent(Copy),
    Wait,
    Reread(BTreeSet<usize>),
    TooLate,
}

/// Repairs all groups that differ, or seem to.
pub(super) fn run(run: &Repair<'_>, cache: Cache, progress: impl Fn(usize, usize)) -> Vec<Line> {
    let left = tasks(run, &cache);
    let total = left.len();
    let (limit, lines) = (GATEWAYS, Vec::new());
    let mut rounds = Rounds { run, cache, left, lines, limit, slow: 0, refreshed: Instant::now() };
    while !rounds.left.is_empty() {
        progress(total - rounds.left.len(), total);
        if let Err(error) = run.safety.check() {
            rounds.give_up(&Reason::from_error(&error, Code::NotSafe));
            break;
        }
        rounds.next();
    }
    progress(total, total);
    // Stable: the lines of one group stay in the order of its changes.
    rounds.lines.sort_by(|a, b| a.labels.cmp(&b.labels));
    rounds.lines
}

struct Rounds<'r, 'a> {
    run: &'r Repair<'a>,
    cache: Cache,
    left: Vec<Task>,
    lines: Vec<Line>,
    /// Maximum number of gateways per round.
    limit: usize,
    /// Number of consecutive rounds that were too slow.
    slow: u32,
    /// Time of the last reading of contents.
    refreshed: Instant,
}

impl Rounds<'_, '_> {
    fn next(&mut self) {
        let batch = self.batch();
        if batch.is_empty() {
            return self.wait_until_due();
        }
        let involved: BTreeSet<usize> =
            batch.iter().flat_map(|&index| &self.left[index].group.involved).copied().collect();
        let outdated: BTreeSet<usize> =
            batch.iter().flat_map(|&index| &self.left[index].outdated).copied().collect();
        if !outdated.is_empty() {
            self.refreshed = Instant::now();
        }
        let readings = self.cache.reread(self.run.gateways, &involved, &outdated);
        let (run, left) = (self.run, &self.left);
        let results = run.gateways.each(&batch, |&index| round(run, &readings, &left[index]));
        let mut finished = BTreeSet::new();
        let mut acted = false;
        for (&index, (task, progress)) in batch.iter().zip(results) {
            acted |= !matches!(progress, Progress::TooLate);
            self.left[index] = task;
            if self.apply(index, progress) {
                finished.insert(index);
            }
        }
        if acted {
            self.slow = 0;
        } else if self.limit > 2 {
            self.limit = (involved.len() / 2).max(2);
        } else {
            self.slow += 1;
        }
        if self.slow == MAX_SLOW_ROUNDS {
            self.slow = 0;
            let reason =
                Code::TooSlow.because("reading its gateways takes longer than a decision may be old");
            for &index in &batch {
                let difference = self.left[index].difference(reason.clone());
                self.apply(index, Progress::Finished(Some(difference)));
                finished.insert(index);
            }
        }
        let mut indices = 0..;
        self.left.retain(|_| indices.next().is_some_and(|index| !finished.contains(&index)));
    }

    /// Returns the indices of the first tasks that are due and together involve at most `limit` gateways, or of one task.
    fn batch(&self) -> Vec<usize> {
        let now = Instant::now();
        let due = || self.left.iter().enumerate().filter(|(_, task)| task.due <= now);
        // Reading contents takes long: first the groups that need none, so that one reading serves many.
        let refresh = self.refreshed.elapsed() > REFRESH || due().all(|(_, task)| !task.outdated.is_empty());
        let mut involved: BTreeSet<usize> = BTreeSet::new();
        let mut batch = Vec::new();
        for (index, task) in due().filter(|(_, task)| refresh || task.outdated.is_empty()) {
            let more = task.group.involved.difference(&involved).count();
            if involved.len() + more <= self.limit || batch.is_empty() {
                involved.extend(&task.group.involved);
                batch.push(index);
            }
        }
        batch
    }

    fn wait_until_due(&self) {
        let Some(due) = self.left.iter().map(|task| task.due).min() else { return };
        while Instant::now() < due && !self.run.safety.interrupted() {
            thread::sleep(PAUSE.min(due.saturating_duration_since(Instant::now())));
        }
    }

    /// Notes the result of a round for a task; returns whether it is finished.
    fn apply(&mut self, index: usize, progress: Progress) -> bool {
        let task = &mut self.left[index];
        let now = Instant::now();
        match progress {
            Progress::Finished(difference) => {
                let kept = difference.map(|difference| Line::kept(&task.group, difference, &self.cache));
                self.lines.extend(task.lines.drain(..).chain(kept));
                return true;
            }
            Progress::Sent(copy) => {
                task.outdated.insert(copy.to);
                task.due = now + self.cache.gateway(copy.to).gateway.limits.confirm_after;
                task.lines.push(Line::sent(&task.group, copy, &self.cache));
            }
            Progress::Wait => task.due = now + self.cache.gateway(task.group.owner).gateway.limits.in_flight,
            Progress::Reread(outdated) => {
                task.outdated = outdated;
                task.due = now + PAUSE;
            }
            Progress::TooLate => {}
        }
        false
    }

    fn give_up(&mut self, reason: &Reason) {
        for index in 0..self.left.len() {
            let difference = self.left[index].difference(reason.clone());
            self.apply(index, Progress::Finished(Some(difference)));
        }
    }
}

/// Decides and acts on one group; returns the task as it is then.
fn round(run: &Repair<'_>, readings: &Readings<'_>, task: &Task) -> (Task, Progress) {
    let mut task = task.clone();
    task.outdated.clear();
    // If nothing was sent for it, only a request finishes it.
    if readings.is_late(&task.group) && task.requests == 0 {
        return (task, Progress::TooLate);
    }
    let outdated = readings.outdated(&task.group);
    let mends = task.requests > 0;
    let waited = mends || task.seen.elapsed() >= readings.gateway(task.group.owner).gateway.limits.in_flight;
    let step = match outdated.is_empty() {
        true => {
            case(run, &task.group, readings, [waited, mends]).decide(&mut task.restored, &mut task.sightings)
        }
        false => Step::Reread,
    };
    if step != Step::Reread {
        task.rereads = 0;
    }
    let progress = match step {
        Step::Whole => Progress::Finished(None),
        Step::Keep(difference) => Progress::Finished(Some(difference)),
        Step::Wait => Progress::Wait,
        Step::Reread => task.reread(outdated),
        Step::Send(_) if run.safety.interrupted() => Progress::TooLate,
        Step::Send(copy) if task.requests == MAX_REQUESTS => {
            let Copy { from, to, families, .. } = copy;
            let reason = Code::Changed.because("it changed after every copy; run again");
            Progress::Finished(Some(Difference { from, to, families, reason }))
        }
        Step::Send(copy) => match act::send(&task.group, &copy, readings, &mut task.restored) {
            Sent::Accepted => {
                task.requests += 1;
                Progress::Sent(copy)
            }
            Sent::TooLate => Progress::TooLate,
            Sent::Reread => task.reread(BTreeSet::from([copy.to])),
            Sent::Failed(difference) => Progress::Finished(Some(difference)),
        },
    };
    (task, progress)
}
