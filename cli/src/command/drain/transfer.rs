//! Moves the groups of one owner, in rounds. Each round reads both gateways and acts while these readings are fresh.
//!
//! One round pushes a group that the owner lacks. Only a later round, which finds the same bytes on the owner, deletes
//! the group at the source. Therefore a run can end at any point, and the next run continues.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::next_step::{Step, next_step};
use super::report::DrainResult;
use crate::cleanup::safety_check::SafetyCheck;
use crate::fleet::survey::read_push_times;
use crate::gateway::client::{Gateway, PushResponse};
use crate::gateway::push_times::{GatewayPushTimes, PushTimes};
use crate::reason::{Code, Reason};
use crate::transfer::gateway_state::{GatewayState, Groups, ListedGroup};
use crate::transfer::push::{body, remove_stub};

/// Maximum number of pushes of a group that the owner accepts but then does not hold.
const MAX_PUSHES: u32 = 3;
/// Maximum number of consecutive rounds that are too slow to act on.
const MAX_SLOW_ROUNDS: u32 = 6;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Delete nothing on the drained gateway.
    pub(crate) keep: bool,
    /// Change nothing; the report is a forecast.
    pub(crate) dry_run: bool,
}

/// The context of one drain.
pub(super) struct Run<'s> {
    pub(super) gateway: &'s Gateway,
    pub(super) source: &'s GatewayState,
    pub(super) options: Options,
    pub(super) safety: &'s SafetyCheck,
    /// Called with the finished and the total number of groups.
    pub(super) progress: &'s dyn Fn(usize, usize),
    pub(super) finished: Cell<usize>,
}

/// A group to move.
pub(super) struct Task<'s> {
    pub(super) group: &'s ListedGroup,
    /// Push path, with the prefix.
    pub(super) path: String,
    pub(super) pushes: u32,
}

/// The readings of both gateways in one round.
struct Fresh {
    /// Time before the first request.
    began: Instant,
    max_age: Duration,
    owner: GatewayState,
    push_times: GatewayPushTimes,
}

impl Fresh {
    fn is_old(&self) -> bool {
        self.began.elapsed() > self.max_age
    }
}

/// Result of a round for one group.
enum RoundResult {
    /// The group is finished.
    Finished(DrainResult),
    /// The group was pushed to the owner; the next round checks whether the owner holds it.
    Pushed,
    /// A push arrived between the reads.
    Unclear,
    /// The readings are too old to act on.
    TooLate,
}

/// Moves all of `tasks` to `owner`, the process that started at `start_time`.
pub(super) fn move_groups<'s>(
    run: &Run<'s>,
    owner: &Gateway,
    start_time: &str,
    mut tasks: Vec<Task<'s>>,
) -> Vec<(Task<'s>, DrainResult)> {
    let mut results = Vec::new();
    let mut slow = 0;
    // The groups of the owner's API, as long as they are up to date: reading them costs as much as the exposition.
    let mut groups = None;
    while !tasks.is_empty() {
        let fresh = match read(run, owner, start_time, groups.take()) {
            Ok(fresh) => fresh,
            Err(error) => {
                let reason = Reason::from_error(&error, Code::Unreadable);
                results.extend(tasks.drain(..).map(|task| (task, DrainResult::Kept(reason.clone()))));
                break;
            }
        };
        let took = fresh.began.elapsed();
        let before = tasks.len();
        let (mut pushed, mut unclear) = (false, false);
        for mut task in std::mem::take(&mut tasks) {
            match act(run, owner, &fresh, &mut task) {
                RoundResult::Finished(result) => {
                    run.finished.set(run.finished.get() + 1);
                    (run.progress)(run.finished.get(), run.source.groups.len());
                    results.push((task, result));
                    continue;
                }
                RoundResult::Pushed => pushed = true,
                RoundResult::Unclear => unclear = true,
                RoundResult::TooLate => {}
            }
            tasks.push(task);
        }
        // After a push, the groups are out of date.
        groups = (!pushed && !unclear).then_some(fresh.owner.groups);
        slow = if pushed || tasks.len() < before { 0 } else { slow + 1 };
        if slow == MAX_SLOW_ROUNDS {
            let reason = Code::TooSlow.because(format!(
                "reading both gateways takes {} ms, but a decision may be {} ms old; or its owner receives pushes all the \
                 time; run again when the gateways are less busy",
                took.as_millis(),
                owner.limits.max_decision_age.as_millis()
            ));
            results.extend(tasks.drain(..).map(|task| (task, DrainResult::Kept(reason.clone()))));
        }
    }
    results
}

fn read(run: &Run<'_>, owner: &Gateway, start_time: &str, groups: Option<Groups>) -> anyhow::Result<Fresh> {
    if !run.options.dry_run {
        let safe = run.safety.check().context("run the same command again");
        safe.map_err(|error| Reason::from_error(&error, Code::NotSafe))?;
    }
    let began = Instant::now();
    let (gateway, source) = (run.gateway, run.source);
    let (push_times, owner_state) = thread::scope(|scope| {
        let push_times = scope.spawn(|| reread_source(gateway, source));
        let owner_state = GatewayState::read(owner, groups).context("the owner");
        (push_times.join(), owner_state)
    });
    let Ok(push_times) = push_times else { bail!("reading the drained gateway failed") };
    let owner = owner_state.map_err(|error| Reason::from_error(&error, Code::OwnerUnreadable))?;
    let same = owner.start_time == start_time;
    ensure!(same, Code::Restarted.because("the owner was restarted; run again"));
    Ok(Fresh { began, max_age: run.gateway.limits.max_decision_age, owner, push_times: push_times? })
}

fn reread_source(gateway: &Gateway, source: &GatewayState) -> anyhow::Result<GatewayPushTimes> {
    let now = gateway.status()?;
    let same = now.start_time == source.start_time;
    ensure!(same, Code::Restarted.because("the drained gateway was restarted; run again"));
    ensure!(
        now.clock.agrees_with(&source.clock),
        Code::ClockSet.because("the clock of the drained gateway or of this machine was set; run again")
    );
    read_push_times(gateway)
}

fn act(run: &Run<'_>, owner: &Gateway, fresh: &Fresh, task: &mut Task<'_>) -> RoundResult {
    let Options { keep, dry_run } = run.options;
    if !dry_run && (fresh.is_old() || run.safety.interrupted()) {
        return RoundResult::TooLate;
    }
    match fresh.push_times.get(&task.group.labels) {
        None => return RoundResult::Finished(DrainResult::Gone),
        times if times != PushTimes::of(task.group) => {
            let text = "it received another push on the drained gateway; run again";
            return kept(Code::Changed, text);
        }
        Some(_) => {}
    }
    match next_step(run.source, task.group, &fresh.owner) {
        Step::Keep(reason) => RoundResult::Finished(DrainResult::Kept(reason)),
        Step::Retry => RoundResult::Unclear,
        Step::Held if keep || dry_run => RoundResult::Finished(held(task)),
        Step::Held => delete(run, fresh, task),
        Step::Copy(_) if dry_run => RoundResult::Finished(DrainResult::Carried),
        Step::Copy(names) => push(run, owner, fresh, task, &names),
    }
}

fn held(task: &Task<'_>) -> DrainResult {
    match task.pushes {
        _ if task.group.is_stub() => DrainResult::Stub,
        0 => DrainResult::Held,
        _ => DrainResult::Carried,
    }
}

fn delete(run: &Run<'_>, fresh: &Fresh, task: &Task<'_>) -> RoundResult {
    if fresh.is_old() {
        return RoundResult::TooLate;
    }
    RoundResult::Finished(match run.gateway.delete(&task.path) {
        Ok(()) => held(task),
        Err(error) => {
            let text = format!("its owner holds it, but it could not be deleted here: {error:#}");
            DrainResult::Kept(Code::DeleteFailed.because(text))
        }
    })
}

fn push(run: &Run<'_>, owner: &Gateway, fresh: &Fresh, task: &mut Task<'_>, names: &[String]) -> RoundResult {
    if task.pushes == MAX_PUSHES {
        let text = "its owner accepted it but does not hold it; check the owner's log, then run again";
        return kept(Code::NotStored, text);
    }
    let Some(body) = body(run.source, task.group, names.iter().map(String::as_str)) else {
        return kept(Code::UnsupportedType, "it has a type that this version does not support");
    };
    if fresh.is_old() {
        return RoundResult::TooLate;
    }
    task.pushes += 1;
    match owner.post(&task.path, body) {
        Ok(PushResponse::Accepted) => RoundResult::Pushed,
        Ok(PushResponse::Rejected(message)) => {
            let stub = if fresh.owner.groups.contains_key(&task.group.labels) {
                Ok(())
            } else {
                remove_stub(owner, &task.group.labels, &task.path)
            };
            let left = stub.err().map(|error| format!("; a stub may remain there: {error:#}"));
            let text = format!("its owner rejected it: {message}{}", left.unwrap_or_default());
            kept(Code::OwnerRejected, text)
        }
        Err(error) => kept(Code::PushFailed, format!("the push to its owner failed: {error:#}")),
    }
}

fn kept(code: Code, text: impl Into<String>) -> RoundResult {
    RoundResult::Finished(DrainResult::Kept(code.because(text)))
}
