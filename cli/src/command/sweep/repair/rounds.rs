//! Repairs groups in rounds. Each round reads some gateways and acts on the groups between them while the readings are fresh.
//!
//! A group that was changed is finished only by a reading that began
//! [`Limits::confirm_after`](crate::gateway::time_limits::Limits) later and shows nothing left to do: a push
//! that arrived between a reading and the copy is then known.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::Repair;
use super::act::{self, Sent};
use super::decide::{Action, Case, Copy, Difference, GRACE, Step};
use super::place::Group;
use super::readings::{Known, Readings, Survey};
use super::report::{Line, RepairResult};
use super::restored::{GROUP, RestoredFamilies};
use crate::reason::{Code, Reason};

/// Number of gateways per round, as for deletions: these are read in a fraction of the maximum decision age.
const GATEWAYS: usize = 24;
/// Interval at which signals are checked while nothing is due.
const PAUSE: Duration = Duration::from_millis(100);
/// Maximum number of requests for one group.
const MAX_REQUESTS: u32 = 6;
/// Maximum number of consecutive readings of a group that show different states in the API and in the exposition.
const MAX_REREADS: u32 = 20;
/// Maximum number of consecutive rounds between two gateways that are too slow to act on.
const MAX_SLOW_ROUNDS: u32 = 6;

/// A group that is not whole.
#[derive(Clone, Debug)]
pub(super) struct Task {
    group: Arc<Group>,
    seen: Instant,
    due: Instant,
    requests: u32,
    rereads: u32,
    restored: RestoredFamilies,
    lines: Vec<Line>,
}

/// The result of a round for one group.
enum Progress {
    /// Nothing is left to do, or a difference stays.
    Finished(Option<Difference>),
    /// A request was sent.
    Sent(Copy),
    Again(Duration),
    TooLate,
}

/// Returns the groups that differ between owner and replica, or seem to.
pub(super) fn tasks(run: &Repair<'_>, survey: &Survey) -> Vec<Task> {
    let now = Instant::now();
    let task = |group: Group| {
        let step = case(run, &group, &survey.readings, false).decide(&mut RestoredFamilies::new());
        let due = if step == Step::Wait { now + GRACE } else { now };
        (step != Step::Whole).then(|| Task {
            group: Arc::new(group),
            seen: now,
            due,
            requests: 0,
            rereads: 0,
            restored: RestoredFamilies::new(),
            lines: Vec::new(),
        })
    };
    survey.groups(run).into_iter().filter_map(task).collect()
}

/// Returns what a repair would report, if nothing changed.
pub(super) fn forecast(run: &Repair<'_>, survey: &Survey) -> Vec<Line> {
    let name = |index: usize| survey.gateways()[index].gateway.name().to_owned();
    let line =
        |group: Group| match case(run, &group, &survey.readings, true).decide(&mut RestoredFamilies::new()) {
            Step::Send(copy) => Some(sent(&group, copy, &name)),
            Step::Keep(difference) => Some(kept(&group, difference, &name)),
            Step::Whole | Step::Reread | Step::Wait => None,
        };
    survey.groups(run).into_iter().filter_map(line).collect()
}

fn case<'a>(run: &'a Repair<'_>, group: &'a Group, readings: &'a Readings, waited: bool) -> Case<'a> {
    Case {
        group,
        readings,
        history: run.history,
        mode: run.fleet.router.config().mode,
        settle: run.settle,
        waited,
    }
}

fn sent(group: &Group, copy: Copy, name: impl Fn(usize) -> String) -> Line {
    let result = match copy.action {
        Action::Add | Action::Replace => RepairResult::Copied,
        Action::Drop | Action::Delete => RepairResult::Removed,
    };
    Line {
        labels: group.labels.clone(),
        from: name(copy.from),
        to: name(copy.to),
        families: copy.families.into_iter().filter(|name| name != GROUP).collect(),
        result,
    }
}

fn kept(group: &Group, difference: Difference, name: impl Fn(usize) -> String) -> Line {
    let Difference { from, to, families, reason } = difference;
    Line {
        labels: group.labels.clone(),
        from: name(from),
        to: name(to),
        families,
        result: RepairResult::of(reason),
    }
}

/// Repairs the groups of all tasks.
pub(super) fn run(
    run: &Repair<'_>,
    gateways: &[Known],
    mut left: Vec<Task>,
    progress: impl Fn(usize, usize),
) -> Vec<Line> {
    let name = |index: usize| gateways[index].gateway.name().to_owned();
    let total = left.len();
    // Neighbors involve the same gateways.
    left.sort_by_key(|task| (task.group.owner, task.group.replica));
    let mut lines = Vec::new();
    let (mut limit, mut slow) = (GATEWAYS, 0);
    while !left.is_empty() {
        progress(total - left.len(), total);
        if let Err(error) = run.safety.check() {
            let reason = Reason::from_error(&error, Code::NotSafe);
            for task in left.drain(..) {
                lines.extend(task.finish(Some(reason.clone()), &name));
            }
            break;
        }
        let batch = next_batch(&left, limit);
        if batch.is_empty() {
            wait_until_due(run, &left);
            continue;
        }
        let involved = batch.iter().flat_map(|&index| &left[index].group.involved).copied().collect();
        let readings = Readings::read(run.gateways, gateways, &involved);
        let results = run.gateways.each(&batch, |&index| round(run, gateways, &readings, &left[index]));
        let mut acted = false;
        let mut finished = BTreeSet::new();
        for (&index, (mut task, result)) in batch.iter().zip(results) {
            acted |= !matches!(result, Progress::TooLate);
            match result {
                Progress::Finished(difference) => {
                    let kept = difference.map(|difference| kept(&task.group, difference, name));
                    lines.extend(task.lines.drain(..).chain(kept));
                    finished.insert(index);
                }
                Progress::Sent(copy) => {
                    task.lines.push(sent(&task.group, copy, name));
                    task.due = Instant::now() + gateways[task.group.owner].gateway.limits.confirm_after;
                }
                Progress::Again(pause) => task.due = Instant::now() + pause,
                Progress::TooLate => {}
            }
            left[index] = task;
        }
        if acted {
            slow = 0;
        } else if limit > 2 {
            limit = (involved.len() / 2).max(2);
        } else {
            slow += 1;
        }
        if slow == MAX_SLOW_ROUNDS {
            let reason =
                Code::TooSlow.because("reading its gateways takes longer than a decision may be old");
            for &index in &batch {
                lines.extend(left[index].clone().finish(Some(reason.clone()), &name));
                finished.insert(index);
            }
            slow = 0;
        }
        let mut index = 0;
        left.retain(|_| {
            index += 1;
            !finished.contains(&(index - 1))
        });
    }
    progress(total, total);
    // Stable: the lines of one group stay in the order of its changes.
    lines.sort_by(|a, b| a.labels.cmp(&b.labels));
    lines
}

/// Returns the indices of the first tasks that are due and together involve at most `limit` gateways, or those of one group.
fn next_batch(left: &[Task], limit: usize) -> Vec<usize> {
    let now = Instant::now();
    let mut involved: BTreeSet<usize> = BTreeSet::new();
    let mut batch = Vec::new();
    for (index, task) in left.iter().enumerate().filter(|(_, task)| task.due <= now) {
        let more = task.group.involved.difference(&involved).count();
        if involved.len() + more <= limit || batch.is_empty() {
            involved.extend(&task.group.involved);
            batch.push(index);
        }
    }
    batch
}

fn wait_until_due(run: &Repair<'_>, left: &[Task]) {
    let Some(due) = left.iter().map(|task| task.due).min() else { return };
    while Instant::now() < due && !run.safety.interrupted() {
        thread::sleep(PAUSE.min(due.saturating_duration_since(Instant::now())));
    }
}

/// Decides and acts on one group; returns the task as it is then.
fn round(run: &Repair<'_>, gateways: &[Known], readings: &Readings, task: &Task) -> (Task, Progress) {
    let mut task = task.clone();
    // Nothing was sent for it, so nothing but a request can finish it.
    if task.requests == 0
        && readings.began.elapsed() > gateways[task.group.owner].gateway.limits.max_decision_age
    {
        return (task, Progress::TooLate);
    }
    let waited = readings.began.duration_since(task.seen) >= GRACE || task.requests > 0;
    let step = case(run, &task.group, readings, waited).decide(&mut task.restored);
    if step != Step::Reread {
        task.rereads = 0;
    }
    let progress = match step {
        Step::Whole => Progress::Finished(None),
        Step::Keep(difference) => Progress::Finished(Some(difference)),
        Step::Wait => Progress::Again(GRACE),
        Step::Reread if task.rereads < MAX_REREADS => {
            task.rereads += 1;
            Progress::Again(PAUSE)
        }
        Step::Reread if task.requests > 0 => {
            let text = "it was accepted, but is not stored, or it receives pushes all the time; run again";
            Progress::Finished(Some(task.difference(Code::NotStored.because(text))))
        }
        Step::Reread => {
            let text = "it receives pushes all the time; run again";
            Progress::Finished(Some(task.difference(Code::Changed.because(text))))
        }
        Step::Send(_) if run.safety.interrupted() => Progress::TooLate,
        Step::Send(copy) if task.requests == MAX_REQUESTS => {
            let Copy { from, to, families, .. } = copy;
            let reason = Code::Changed.because("it changed after every copy; run again");
            Progress::Finished(Some(Difference { from, to, families, reason }))
        }
        Step::Send(copy) => match act::send(&task.group, &copy, (gateways, readings), &mut task.restored) {
            Sent::Accepted => {
                task.requests += 1;
                Progress::Sent(copy)
            }
            Sent::TooLate => Progress::TooLate,
            Sent::Failed(difference) => Progress::Finished(Some(difference)),
        },
    };
    (task, progress)
}

impl Task {
    fn difference(&self, reason: Reason) -> Difference {
        let owner = self.group.owner;
        Difference { from: owner, to: self.group.replica.unwrap_or(owner), families: Vec::new(), reason }
    }

    /// Ends before the group is whole.
    fn finish(mut self, reason: Option<Reason>, name: impl Fn(usize) -> String) -> Vec<Line> {
        let kept = reason.map(|reason| kept(&self.group, self.difference(reason), name));
        self.lines.drain(..).chain(kept).collect()
    }
}
