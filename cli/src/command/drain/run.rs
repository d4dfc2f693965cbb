//! Empties a Pushgateway that has left the ring: moves its groups to their owners and replicas.
//!
//! A group is deleted only after it was read back from them, so a drain may be killed at any point and run again.
//! Values are copied byte for byte from the exposition ([`crate::gateway::exposition`]).

use std::cell::Cell;
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pushring_router::{Member, canonical_address};
use serde::de::IgnoredAny;

use super::passes::{Members, Moved};
use super::transfer::{Options, Run, Task};
use crate::cleanup::safety_check::SafetyCheck;
use crate::error::NotSafe;
use crate::fleet::source::Fleet;
use crate::fleet::survey::{GroupLocation, locate, locate_group};
use crate::gateway::api::{Labels, StoredGroup};
use crate::gateway::client::Gateway;
use crate::gateway::pool::Gateways;
use crate::gateway::push_times::PushTimes;
use crate::output;
use crate::reason::Code;
use crate::transfer::gateway_state::GatewayState;

use super::report::{DrainResult, Report};

/// Number of checks, and pause between them, until the gateway has processed its queue of deletions.
const CHECKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);
/// A gateway begins to write after its interval; this is the time that it takes, with a margin.
const WRITING: Duration = Duration::from_secs(2);

/// Rejects a gateway that is on the ring or may return to it.
///
/// # Errors
/// [`NotSafe`], also if a group can have several owners.
pub(crate) fn has_left(address: &str, fleet: &Fleet) -> anyhow::Result<()> {
    fleet.require_owners()?;
    // A list that is written by hand may have another spelling of the address.
    let same = |member: &Member| {
        member.name == address || canonical_address(&member.address).is_some_and(|known| known == address)
    };
    if fleet.router.config().members.iter().any(same) {
        bail!(NotSafe(format!(
            "{address} is on the ring; first run `pushring deregister {address}` or remove it from the file, then drain \
             it"
        )));
    }
    if fleet.registered.iter().any(same) {
        bail!(NotSafe(format!(
            "{address} is registered in Consul and returns to the ring once it is passing; first run `pushring \
             deregister {address}`, then drain it"
        )));
    }
    Ok(())
}

/// Moves every group of the gateway at `address` to its owner and to its replica. Problems with single groups are in the report.
///
/// # Errors
/// [`NotSafe`] if the gateway is on the ring; other errors if it cannot be read.
pub(crate) fn drain(
    address: &str,
    fleet: &Fleet,
    gateways: &Gateways,
    safety: &SafetyCheck,
    options: Options,
    progress: &dyn Fn(usize, usize),
) -> anyhow::Result<Report> {
    has_left(address, fleet)?;
    let members = &fleet.router.config().members;
    let owners: Vec<_> =
        members.iter().map(|member| gateways.gateway(&member.name, &member.address)).collect();
    let gateway = gateways.gateway(address, address);
    let source = GatewayState::read(&gateway, None).with_context(|| address.to_owned())?;
    let processes: Vec<_> = gateways.each(&owners, |owner| owner.status().map(|status| status.start_time));
    if let Some(member) =
        processes.iter().position(|process| process.as_ref().ok() == Some(&source.start_time))
    {
        bail!(NotSafe(format!(
            "{address} and the member {} are one process (their start times are equal); take it out of the ring first",
            members[member].name
        )));
    }
    let mut run =
        Run { gateway: &gateway, source: &source, options, safety, progress, finished: Cell::new(0) };
    progress(0, source.groups.len());
    let mut report = Report { gateway: address.to_owned(), dry_run: options.dry_run, ..Report::default() };
    let tasks = tasks(&run, fleet, &mut report);
    let members = Members { gateways: &owners, processes: &processes };
    let moved = move_all(&mut run, &members, gateways, tasks);
    let mut finished = BTreeSet::new();
    for (task, result) in moved {
        if !matches!(result, DrainResult::Kept(_)) {
            finished.insert(&task.group.labels);
        }
        report.add(&task.group.labels, Some(owners[task.owner].name()), result);
    }
    report.interrupted = safety.interrupted();
    add_remaining(&run, fleet, &finished, &mut report)?;
    Ok(report)
}

/// Moves all groups. If owners have to write them to disk, or replicas need them, too, the first passes only copy, so that
/// one wait is enough for all.
fn move_all<'s>(
    run: &mut Run<'s>,
    members: &Members<'_>,
    gateways: &Gateways,
    tasks: Vec<Task<'s>>,
) -> Vec<Moved<'s>> {
    let deletes = !run.options.keep && !run.options.dry_run;
    let wait = if deletes { persistence(gateways, members.gateways, &tasks) } else { Duration::ZERO };
    if wait.is_zero() && tasks.iter().all(|task| task.replica.is_none()) {
        return members.to_owners(run, tasks);
    }
    run.options.keep = true;
    let mut moved = members.to_owners(run, tasks);
    moved = members.to_replicas(run, moved);
    if !deletes {
        return moved;
    }
    if !wait.is_zero() {
        wait_until_written(wait, run.safety);
        // A replica may have restarted in the meantime.
        moved = members.to_replicas(run, moved);
    }
    run.options.keep = false;
    let is_refused =
        |(task, result): &Moved<'_>| task.replica.is_some() && matches!(result, DrainResult::Kept(_));
    let (mut done, rest): (Vec<_>, Vec<_>) = moved.into_iter().partition(is_refused);
    run.finished.set(done.len());
    let carried = rest.iter().filter(|(_, result)| *result == DrainResult::Carried);
    let carried: BTreeSet<&Labels> = carried.map(|(task, _)| &task.group.labels).collect();
    let rest = rest.into_iter().map(|(task, _)| Task { pushes: 0, ..task }).collect();
    for (task, result) in members.to_owners(run, rest) {
        let is_carried = result == DrainResult::Held && carried.contains(&task.group.labels);
        done.push((task, if is_carried { DrainResult::Carried } else { result }));
    }
    done
}

/// Returns how long the owners of these groups may keep them in memory only, and warns about each that never writes them.
/// Zero if there is nothing to wait for.
fn persistence(gateways: &Gateways, members: &[Gateway], tasks: &[Task<'_>]) -> Duration {
    let placed: BTreeSet<usize> =
        tasks.iter().flat_map(|task| [Some(task.owner), task.replica]).flatten().collect();
    let owners: Vec<&Gateway> = placed.into_iter().map(|member| &members[member]).collect();
    let found = gateways.each(&owners, |owner| owner.persistence());
    let mut longest = Duration::ZERO;
    for (owner, found) in owners.iter().zip(found) {
        match found {
            Ok(Some(interval)) => longest = longest.max(interval.saturating_add(WRITING)),
            Ok(None) => output::warn(format_args!(
                "{} has no --persistence.file: what it holds is gone when it stops",
                owner.name()
            )),
            Err(error) => {
                output::warn(format_args!("{}: when it writes to disk is unknown: {error:#}", owner.name()));
            }
        }
    }
    longest
}

/// Waits until all owners have written to disk what they held at the beginning, or until a signal arrives.
fn wait_until_written(wait: Duration, safety: &SafetyCheck) {
    let began = Instant::now();
    output::warn(format_args!(
        "waiting {} s until the owners have written the groups to disk (--persistence.interval), then deleting them here",
        wait.as_secs()
    ));
    while began.elapsed() < wait && !safety.interrupted() {
        thread::sleep(PAUSE);
    }
}

/// Returns the groups to move; groups without a certain owner go to the report.
fn tasks<'s>(run: &Run<'s>, fleet: &Fleet, report: &mut Report) -> Vec<Task<'s>> {
    let mut tasks = Vec::new();
    for (labels, group) in &run.source.groups {
        match locate_group(&fleet.router, group) {
            Ok(GroupLocation { path, owner, replica }) => {
                tasks.push(Task { group, path, owner, replica, pushes: 0, newer: Vec::new() });
            }
            Err(reason) => report.add(labels, None, DrainResult::Kept(reason)),
        }
    }
    tasks
}

/// Adds the remaining groups of the gateway to the report, after it has processed the queued deletions.
fn add_remaining(
    run: &Run<'_>,
    fleet: &Fleet,
    finished: &BTreeSet<&Labels>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let deleted = !run.options.keep && !run.options.dry_run;
    let pending = |group: &StoredGroup<IgnoredAny>| {
        let before = run.source.groups.get(&group.labels).filter(|_| finished.contains(&group.labels));
        deleted && before.is_some_and(|before| PushTimes::of(before) == PushTimes::of(group))
    };
    let mut groups = run.gateway.groups()?;
    for _ in 0..CHECKS {
        if !groups.iter().any(pending) {
            break;
        }
        thread::sleep(PAUSE);
        groups = run.gateway.groups()?;
    }
    report.left = groups.len();
    let kept: BTreeSet<_> = report.kept.iter().map(|kept| kept.labels.clone()).collect();
    let expected = |labels: &Labels| kept.contains(labels) || (!deleted && finished.contains(labels));
    for group in groups.iter().filter(|group| !expected(&group.labels)) {
        let owner = locate(&fleet.router, &group.labels).map(|location| location.owner);
        let name = owner
            .and_then(|owner| fleet.router.config().members.get(owner))
            .map(|member| member.name.as_str());
        let reason =
            "it received a push during the drain; run again when no client pushes to this gateway any more";
        report.add(&group.labels, name, DrainResult::Kept(Code::Changed.because(reason)));
    }
    Ok(())
}
