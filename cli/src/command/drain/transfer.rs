//! Carries the groups of one owner, in rounds: both gateways are read, then acted upon while that is fresh, then read
//! again.
//!
//! A group that the owner lacks is pushed to it in one round; only a later round, which finds it there with the same
//! bytes, deletes it at its source. So a run can end anywhere, and the next one goes on from what it finds.

use std::thread;
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use crate::cleanup::delete_batch::DECISION_MAX;
use crate::command::drain::gateway_state::{Groups, Holding, Told};
use crate::command::drain::next_step::{Step, step};
use crate::command::drain::report::Outcome;
use crate::command::drain::run::{Options, Run};
use crate::gateway::client::{Gateway, Pushed};
use crate::gateway::exposition;
use crate::gateway::push_times::Mark;
use crate::gateway::push_times::Marks;

/// How often a group is pushed that the owner takes and then does not hold.
const PUSHES_MAX: u32 = 3;
/// How many rounds in a row may be too slow to act upon.
const SLOW_MAX: u32 = 6;

/// A group on its way.
pub(super) struct Task<'s> {
    pub(super) group: &'s Told,
    /// Push path of the group, with the prefix.
    pub(super) path: String,
    pub(super) pushes: u32,
}

/// Both gateways as they are now.
struct Fresh {
    /// Before the first byte was asked for.
    began: Instant,
    owner: Holding,
    marks: Marks,
}

impl Fresh {
    fn is_old(&self) -> bool {
        self.began.elapsed() > DECISION_MAX
    }
}

/// What became of a group in a round.
enum Turn {
    /// It is done with.
    Over(Outcome),
    /// It was pushed to the owner; the next round sees whether it is there.
    Pushed,
    /// What was read is from both sides of a push.
    Unclear,
    /// What was read is too old to act upon.
    TooLate,
}

/// Carries all of `tasks` to `owner`, the process that started at `start_time`.
pub(super) fn carry<'s>(
    run: &Run<'s>,
    owner: &Gateway,
    start_time: &str,
    mut tasks: Vec<Task<'s>>,
) -> Vec<(Task<'s>, Outcome)> {
    let mut over = Vec::new();
    let mut slow = 0;
    // What the owner's API told, as long as that is good for something: it costs as much as the exposition.
    let mut told = None;
    while !tasks.is_empty() {
        let fresh = match read(run, owner, start_time, told.take()) {
            Ok(fresh) => fresh,
            Err(error) => {
                let reason = format!("{error:#}");
                over.extend(tasks.drain(..).map(|task| (task, Outcome::Kept(reason.clone()))));
                break;
            }
        };
        let took = fresh.began.elapsed();
        let before = tasks.len();
        let (mut pushed, mut unclear) = (false, false);
        for mut task in std::mem::take(&mut tasks) {
            match turn(run, owner, &fresh, &mut task) {
                Turn::Over(outcome) => {
                    run.progress.inc(1);
                    over.push((task, outcome));
                    continue;
                }
                Turn::Pushed => pushed = true,
                Turn::Unclear => unclear = true,
                Turn::TooLate => {}
            }
            tasks.push(task);
        }
        // It does not know the groups that were pushed just now.
        told = (!pushed && !unclear).then_some(fresh.owner.groups);
        slow = if pushed || tasks.len() < before { 0 } else { slow + 1 };
        if slow == SLOW_MAX {
            let reason = format!(
                "reading both gateways takes {} ms, and a decision may be {} ms old; or its owner is pushed to all the \
                 time. Run again when they are less busy",
                took.as_millis(),
                DECISION_MAX.as_millis()
            );
            over.extend(tasks.drain(..).map(|task| (task, Outcome::Kept(reason.clone()))));
        }
    }
    over
}

fn read(run: &Run<'_>, owner: &Gateway, start_time: &str, told: Option<Groups>) -> anyhow::Result<Fresh> {
    if !run.options.dry_run {
        run.guard.check().context("run the same command again")?;
    }
    let began = Instant::now();
    let (marks, owner_holding) = thread::scope(|scope| {
        let marks = scope.spawn(|| {
            let now = run.gateway.status()?;
            let (source, same) = (run.source, now.clock.goes_as(&run.source.clock));
            ensure!(
                now.start_time == source.start_time,
                "the gateway that is drained was restarted; run again"
            );
            ensure!(same, "the clock of the gateway that is drained, or of this machine, was set; run again");
            run.gateway.marks()
        });
        let holding = Holding::read(owner, told).context("the owner");
        (marks.join(), holding)
    });
    let Ok(marks) = marks else { bail!("reading the gateway that is drained failed") };
    let owner = owner_holding?;
    ensure!(owner.start_time == start_time, "the owner was restarted; run again");
    Ok(Fresh { began, owner, marks: marks? })
}

fn turn(run: &Run<'_>, owner: &Gateway, fresh: &Fresh, task: &mut Task<'_>) -> Turn {
    let Options { keep, dry_run } = run.options;
    if !dry_run && (fresh.is_old() || run.guard.interrupted()) {
        return Turn::TooLate;
    }
    match fresh.marks.get(&task.group.labels) {
        None => return Turn::Over(Outcome::Gone),
        mark if mark != Mark::of(task.group) => {
            let reason = "it was pushed to again on the gateway that is drained; run again";
            return Turn::Over(Outcome::Kept(reason.to_owned()));
        }
        Some(_) => {}
    }
    match step(run.source, task.group, &fresh.owner) {
        Step::Keep(reason) => Turn::Over(Outcome::Kept(reason)),
        Step::Again => Turn::Unclear,
        Step::Held if keep || dry_run => Turn::Over(held(task)),
        Step::Held => delete(run, fresh, task),
        Step::Carry(_) if dry_run => Turn::Over(Outcome::Carried),
        Step::Carry(names) => push(run, owner, fresh, task, &names),
    }
}

fn held(task: &Task<'_>) -> Outcome {
    match task.pushes {
        _ if task.group.is_stub() => Outcome::Stub,
        0 => Outcome::Held,
        _ => Outcome::Carried,
    }
}

fn delete(run: &Run<'_>, fresh: &Fresh, task: &Task<'_>) -> Turn {
    if fresh.is_old() {
        return Turn::TooLate;
    }
    Turn::Over(match run.gateway.delete(&task.path) {
        Ok(()) => held(task),
        Err(error) => Outcome::Kept(format!("its owner holds it; it could not be deleted here: {error:#}")),
    })
}

fn push(run: &Run<'_>, owner: &Gateway, fresh: &Fresh, task: &mut Task<'_>, names: &[String]) -> Turn {
    if task.pushes == PUSHES_MAX {
        let reason = "its owner took it and does not hold it; look at the owner's log, then run again";
        return Turn::Over(Outcome::Kept(reason.to_owned()));
    }
    let Some(body) = body(run.source, task.group, names) else {
        return Turn::Over(Outcome::Kept("it has a type that this version does not know".to_owned()));
    };
    if fresh.is_old() {
        return Turn::TooLate;
    }
    task.pushes += 1;
    match owner.post(&task.path, body) {
        Ok(Pushed::Taken) => Turn::Pushed,
        Ok(Pushed::Refused(words)) => {
            let stub = if fresh.owner.groups.contains_key(&task.group.labels) {
                Ok(())
            } else {
                remove_stub(owner, task)
            };
            let left = stub.err().map(|error| format!("; an empty group may be left there: {error:#}"));
            Turn::Over(Outcome::Kept(format!("its owner refuses it: {words}{}", left.unwrap_or_default())))
        }
        Err(error) => Turn::Over(Outcome::Kept(format!("its owner: {error:#}"))),
    }
}

/// The families as they were on the leaving gateway.
fn body(source: &Holding, group: &Told, names: &[String]) -> Option<Vec<u8>> {
    let families = names.iter().map(|name| {
        let family = group.families.get(name)?;
        let metrics = source.values(name, family)?.into_values().cloned().collect();
        exposition::Family::new(name, &family.kind, family.help.as_deref(), metrics)
    });
    Some(exposition::write(&families.collect::<Option<Vec<_>>>()?))
}

/// A gateway keeps an empty group for a push that it refused. It goes, if nobody has pushed to it meanwhile.
fn remove_stub(owner: &Gateway, task: &Task<'_>) -> anyhow::Result<()> {
    let groups = owner.groups()?;
    if groups
        .iter()
        .any(|group| group.labels == task.group.labels && group.doubt.is_none() && group.is_stub())
    {
        owner.delete(&task.path)?;
    }
    Ok(())
}
