//! Empties a Pushgateway that has left the ring: its groups go to those who own them now.
//!
//! Nothing is deleted before it was read back from its owner, so a drain may be killed at any point and started again.
//! Values are carried as the bytes that they are in the exposition ([`crate::gateway::exposition`]).

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::de::IgnoredAny;

use super::gateway_state::GatewayState;
use super::transfer::{Options, Run, Task, move_groups};
use crate::cleanup::safety_check::SafetyCheck;
use crate::error::NotSafe;
use crate::fleet::source::Fleet;
use crate::fleet::survey::{locate, locate_group};
use crate::gateway::api::{Labels, StoredGroup};
use crate::gateway::pool::Gateways;
use crate::gateway::push_times::PushTimes;

use super::report::{DrainResult, Report};

/// How often it is looked whether the gateway has worked off its queue of deletions, and how long apart.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Refuses a gateway that is on the ring, or may come back to it by itself.
///
/// # Errors
/// [`NotSafe`], also where a group has no one owner.
pub(crate) fn has_left(address: &str, fleet: &Fleet) -> anyhow::Result<()> {
    fleet.require_owners()?;
    if fleet.router.config().members.iter().any(|member| member.address == address || member.name == address)
    {
        bail!(NotSafe(format!(
            "{address} is on the ring: take it out first (pushring deregister {address}, or out of the file), then \
             drain it"
        )));
    }
    if fleet.registered.iter().any(|member| member.address == address || member.name == address) {
        bail!(NotSafe(format!(
            "{address} is registered in Consul and comes back as soon as it is passing: pushring deregister \
             {address}, then drain it"
        )));
    }
    Ok(())
}

/// Carries every group of the gateway at `address` to its owner, and deletes it where it was.
///
/// # Errors
/// [`NotSafe`] when the gateway is on the ring; anything else when it cannot be read. What happens to single groups is
/// in the report.
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
            "{address} and the member {} are one process (they started at the same nanosecond): take it out of the \
             ring first",
            members[member].name
        )));
    }
    let run = Run { gateway: &gateway, source: &source, options, safety, progress, finished: Cell::new(0) };
    progress(0, source.groups.len());
    let mut report = Report { gateway: address.to_owned(), dry_run: options.dry_run, ..Report::default() };
    let mut over = BTreeSet::new();
    for (owner, tasks) in by_owner(&run, fleet, &mut report) {
        let name = members[owner].name.as_str();
        let ended = match process(&processes, owner) {
            Ok(start_time) => move_groups(&run, &owners[owner], start_time, tasks),
            Err(reason) => tasks.into_iter().map(|task| (task, DrainResult::Kept(reason.clone()))).collect(),
        };
        for (task, outcome) in ended {
            if !matches!(outcome, DrainResult::Kept(_)) {
                over.insert(&task.group.labels);
            }
            report.add(&task.group.labels, Some(name), outcome);
        }
    }
    report.interrupted = safety.interrupted();
    look_again(&run, fleet, &over, &mut report)?;
    Ok(report)
}

/// The groups to carry by index of their owner; those that have none for sure go to the report.
fn by_owner<'s>(run: &Run<'s>, fleet: &Fleet, report: &mut Report) -> BTreeMap<usize, Vec<Task<'s>>> {
    let mut tasks: BTreeMap<usize, Vec<Task<'_>>> = BTreeMap::new();
    for (labels, group) in &run.source.groups {
        match locate_group(&fleet.router, group) {
            Ok(location) => {
                tasks.entry(location.owner).or_default().push(Task { group, path: location.path, pushes: 0 });
            }
            Err(reason) => report.add(labels, None, DrainResult::Kept(reason)),
        }
    }
    tasks
}

/// When an owner started; why nothing may be carried to it otherwise.
fn process(processes: &[anyhow::Result<String>], owner: usize) -> Result<&str, String> {
    let start_time = match &processes[owner] {
        Ok(start_time) => start_time,
        Err(error) => return Err(format!("its owner cannot be reached: {error:#}; run again")),
    };
    let twins = processes.iter().flatten().filter(|other| *other == start_time).count();
    if twins > 1 {
        return Err(
            "its owner is the same process as another member; mend the members, then run again".to_owned()
        );
    }
    Ok(start_time)
}

/// What the gateway holds in the end. Deletions are queued, so those that were sent are waited for a little.
fn look_again(
    run: &Run<'_>,
    fleet: &Fleet,
    over: &BTreeSet<&Labels>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let deleted = !run.options.keep && !run.options.dry_run;
    let pending = |group: &StoredGroup<IgnoredAny>| {
        let before = run.source.groups.get(&group.labels).filter(|_| over.contains(&group.labels));
        deleted && before.is_some_and(|before| PushTimes::of(before) == PushTimes::of(group))
    };
    let mut groups = run.gateway.groups()?;
    for _ in 0..LOOKS {
        if !groups.iter().any(pending) {
            break;
        }
        thread::sleep(PAUSE);
        groups = run.gateway.groups()?;
    }
    report.left = groups.len();
    let told: BTreeSet<_> = report.kept.iter().map(|kept| kept.labels.clone()).collect();
    let expected = |labels: &Labels| told.contains(labels) || (!deleted && over.contains(labels));
    for group in groups.iter().filter(|group| !expected(&group.labels)) {
        let owner = locate(&fleet.router, &group.labels).map(|location| location.owner);
        let name = owner
            .and_then(|owner| fleet.router.config().members.get(owner))
            .map(|member| member.name.as_str());
        let reason = "it was pushed to meanwhile; run again when nobody pushes to this gateway any more";
        report.add(&group.labels, name, DrainResult::Kept(reason.to_owned()));
    }
    Ok(())
}
