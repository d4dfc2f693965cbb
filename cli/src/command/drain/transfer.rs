//! Moves the groups of one receiver, in rounds. Each round reads both gateways and acts while these readings are fresh.
//!
//! One round pushes a group that the owner lacks. Only a later round, which finds the same bytes on the owner, deletes
//! the group at the source. Therefore a run can end at any point, and the next run continues.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::next_step::{Step, different, next_step};
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
    /// Index of the member that owns it.
    pub(super) owner: usize,
    /// Index of the member that also gets it.
    pub(super) replica: Option<usize>,
    pub(super) pushes: u32,
    /// Families that the owner holds newer, once it was read.
    pub(super) newer: Vec<String>,
}

/// The gateway that gets groups.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receiver<'s> {
    pub(super) gateway: &'s Gateway,
    pub(super) role: Role,
    /// Start of the process that was found first.
    pub(super) start_time: &'s str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Owner,
    Replica,
}

impl Role {
    /// Returns the word of messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Replica => "replica",
        }
    }

    /// Returns the code of an error to read a gateway with this role.
    pub(super) fn unreadable(self) -> Code {
        match self {
            Self::Owner => Code::OwnerUnreadable,
            Self::Replica => Code::ReplicaUnreadable,
        }
    }
}

/// The readings of both gateways in one round.
struct Fresh {
    /// Time before the first request.
    began: Instant,
    max_age: Duration,
    receiver: GatewayState,
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
    /// The group was pushed to the receiver; the next round checks whether it holds the group.
    Pushed,
    /// A push arrived between the reads.
    Unclear,
    /// The readings are too old to act on.
    TooLate,
}

/// Moves all of `tasks` to a receiver. A group is deleted on the drained gateway only if that is the owner.
pub(super) fn move_groups<'s>(
    run: &Run<'s>,
    to: Receiver<'_>,
    mut tasks: Vec<Task<'s>>,
) -> Vec<(Task<'s>, DrainResult)> {
    let mut results = Vec::new();
    let mut slow = 0;
    // The groups of the receiver's API, as long as they are up to date: reading them costs as much as the exposition.
    let mut groups = None;
    while !tasks.is_empty() {
        let fresh = match read(run, to, groups.take()) {
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
            match act(run, to, &fresh, &mut task) {
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
        groups = (!pushed && !unclear).then_some(fresh.receiver.groups);
        slow = if pushed || tasks.len() < before { 0 } else { slow + 1 };
        if slow == MAX_SLOW_ROUNDS {
            let reason = Code::TooSlow.because(format!(
                "reading both gateways takes {} ms, but a decision may be {} ms old; or its {} receives pushes all the time; run again \
                 when the gateways are less busy",
                took.as_millis(),
                to.gateway.limits.max_decision_age.as_millis(),
                to.role.name()
            ));
            results.extend(tasks.drain(..).map(|task| (task, DrainResult::Kept(reason.clone()))));
        }
    }
    results
}

fn read(run: &Run<'_>, to: Receiver<'_>, groups: Option<Groups>) -> anyhow::Result<Fresh> {
    if !run.options.dry_run {
        let safe = run.safety.check().context("run the same command again");
        safe.map_err(|error| Reason::from_error(&error, Code::NotSafe))?;
    }
    let began = Instant::now();
    let (gateway, source) = (run.gateway, run.source);
    let role = to.role.name();
    let (push_times, receiver) = thread::scope(|scope| {
        let push_times = scope.spawn(|| reread_source(gateway, source));
        let receiver = GatewayState::read(to.gateway, groups).with_context(|| format!("the {role}"));
        (push_times.join(), receiver)
    });
    let Ok(push_times) = push_times else { bail!("reading the drained gateway failed") };
    let receiver = receiver.map_err(|error| Reason::from_error(&error, to.role.unreadable()))?;
    let same = receiver.start_time == to.start_time;
    ensure!(same, Code::Restarted.because(format!("the {role} was restarted; run again")));
    Ok(Fresh { began, max_age: run.gateway.limits.max_decision_age, receiver, push_times: push_times? })
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

fn act(run: &Run<'_>, to: Receiver<'_>, fresh: &Fresh, task: &mut Task<'_>) -> RoundResult {
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
    let newer: &[String] = if to.role == Role::Owner { &[] } else { &task.newer };
    let step = next_step(run.source, task.group, (&fresh.receiver, to.role.name()), newer);
    if to.role == Role::Owner && task.replica.is_some() {
        let copied = if let Step::Copy(names) = &step { names.as_slice() } else { &[] };
        task.newer = different(run.source, task.group, &fresh.receiver);
        task.newer.retain(|name| !copied.contains(name));
    }
    match step {
        Step::Keep(reason) => RoundResult::Finished(DrainResult::Kept(reason)),
        Step::Retry => RoundResult::Unclear,
        Step::Held if keep || dry_run => RoundResult::Finished(held(task)),
        Step::Held => delete(run, fresh, task),
        Step::Copy(_) if dry_run => RoundResult::Finished(DrainResult::Carried),
        Step::Copy(names) => push(run, to, fresh, task, &names),
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

fn push(
    run: &Run<'_>,
    to: Receiver<'_>,
    fresh: &Fresh,
    task: &mut Task<'_>,
    names: &[String],
) -> RoundResult {
    let role = to.role.name();
    if task.pushes == MAX_PUSHES {
        let text =
            format!("its {role} accepted it but does not hold it; check the {role}'s log, then run again");
        return kept(Code::NotStored, text);
    }
    let Some(body) = body(run.source, task.group, names.iter().map(String::as_str)) else {
        return kept(Code::UnsupportedType, "it has a type that this version does not support");
    };
    if fresh.is_old() {
        return RoundResult::TooLate;
    }
    task.pushes += 1;
    match to.gateway.post(&task.path, body) {
        Ok(PushResponse::Accepted) => RoundResult::Pushed,
        Ok(PushResponse::Rejected(message)) => {
            let stub = if fresh.receiver.groups.contains_key(&task.group.labels) {
                Ok(())
            } else {
                remove_stub(to.gateway, &task.group.labels, &task.path)
            };
            let left = stub.err().map(|error| format!("; a stub may remain there: {error:#}"));
            let text = format!("its {role} rejected it: {message}{}", left.unwrap_or_default());
            kept(Code::OwnerRejected, text)
        }
        Err(error) => kept(Code::PushFailed, format!("the push to its {role} failed: {error:#}")),
    }
}

fn kept(code: Code, text: impl Into<String>) -> RoundResult {
    RoundResult::Finished(DrainResult::Kept(code.because(text)))
}
