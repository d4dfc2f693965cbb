//! Deletes groups from gateways, batch by batch.
//!
//! A Pushgateway has no conditional delete: a push can arrive between the survey and the deletion. We
//! keep that window short. Before each batch, safety is checked again and then all gateways involved
//! are read again; a deletion is sent within [`Limits::max_decision_age`](crate::gateway::time_limits::Limits)
//! of that check. Groups that changed since the survey are left to the next run.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::cleanup::copy::{DeletionResult, KeepReason, Removal};
use crate::cleanup::superseded::{GroupOnGateway, replicated, superseded};
use crate::fleet::survey::{Groups, Survey, read_push_times};
use crate::gateway::api::{Labels, StoredGroup};
use crate::gateway::client::Gateway;
use crate::gateway::pool::Gateways;
use crate::gateway::push_times::{GatewayPushTimes, PushTimes};
use crate::gateway::values::Values;
use crate::reason::{Code, Reason};

/// Number of gateways per block; removals are sorted by block. Two blocks, between which any group may
/// have moved, or three with replicas, are read in a fraction of the maximum decision age, which leaves
/// time for the deletions.
const BLOCK: usize = 12;

type RereadResult = Result<Reread, Reason>;

enum Reread {
    Groups(HashMap<Labels, StoredGroup<Values>>),
    PushTimes(GatewayPushTimes),
}

/// Deletes the copies that are still unchanged; calls `is_safe` before each batch. The results are in
/// the order of the removals; `progress` gets the number of decided removals and the total.
pub(crate) fn remove(
    gateways: &Gateways,
    survey: &Survey,
    removals: &[Removal<'_>],
    is_safe: impl Fn() -> anyhow::Result<()>,
    progress: impl Fn(usize, usize),
) -> Vec<DeletionResult> {
    if !removals.is_empty() {
        progress(0, removals.len());
    }
    let mut results: Vec<Option<DeletionResult>> = vec![None; removals.len()];
    // Neighbors involve the same gateways: one block for each role.
    let mut left: Vec<usize> = (0..removals.len()).collect();
    left.sort_by_key(|&index| {
        let Removal { owner, replica, on, .. } = removals[index];
        let block = |gateway: Option<usize>| gateway.map(|gateway| gateway / BLOCK);
        (block(owner), block(replica), block(Some(on)), owner, on)
    });
    let roles = if removals.iter().any(|removal| removal.replica.is_some()) { 3 } else { 2 };
    let mut limit = roles * BLOCK;
    while !left.is_empty() {
        if let Err(error) = is_safe() {
            let reason = Reason::from_error(&error, Code::NotSafe);
            left.drain(..).for_each(|index| results[index] = Some(DeletionResult::kept(reason.clone())));
            break;
        }
        let safe = Instant::now();
        let (batch, involved) = next_batch(&left, removals, limit);
        let wanted: HashSet<&Labels> = batch.iter().map(|&index| &removals[index].group.labels).collect();
        let read = gateways.each(&involved, |&index| reread(survey, index, &wanted));
        let read: HashMap<usize, RereadResult> = involved.iter().copied().zip(read).collect();
        let decided = gateways.each(&batch, |&index| decide(survey, &removals[index], &read, safe));
        let mut acted = false;
        for (&index, result) in batch.iter().zip(decided) {
            acted |= result.is_some();
            results[index] = result;
        }
        if !acted && limit > 2 {
            limit = (involved.len() / 2).max(2);
        } else if !acted {
            let reason = Code::TooSlow.because("reading its gateways again takes longer than a second");
            batch.iter().for_each(|&index| results[index] = Some(DeletionResult::kept(reason.clone())));
        }
        left.retain(|&index| results[index].is_none());
        progress(removals.len() - left.len(), removals.len());
    }
    results.into_iter().flatten().collect()
}

/// Returns the first removals of `left` that together involve at most `limit` gateways, and these gateways.
fn next_batch(left: &[usize], removals: &[Removal<'_>], limit: usize) -> (Vec<usize>, Vec<usize>) {
    let mut involved = BTreeSet::new();
    let mut batch = Vec::new();
    for &index in left {
        let more: BTreeSet<usize> =
            removals[index].gateways_involved().filter(|gateway| !involved.contains(gateway)).collect();
        if involved.len() + more.len() > limit {
            break;
        }
        involved.extend(more);
        batch.push(index);
    }
    (batch, involved.into_iter().collect())
}

fn reread(survey: &Survey, index: usize, wanted: &HashSet<&Labels>) -> RereadResult {
    let surveyed = &survey.gateways[index];
    match &surveyed.groups {
        Ok(groups) => reread_gateway(&surveyed.gateway, groups, wanted)
            .with_context(|| format!("{} cannot be read again", surveyed.gateway.name()))
            .map_err(|error| Reason::from_error(&error, Code::Unreadable)),
        Err(reason) => Err(Code::Unreadable.because(reason)),
    }
}

fn reread_gateway(gateway: &Gateway, before: &Groups, wanted: &HashSet<&Labels>) -> anyhow::Result<Reread> {
    let status = gateway.status()?;
    let same = status.start_time == before.status.start_time;
    ensure!(same, Code::Restarted.because("the gateway restarted during the run"));
    // All comparisons and ages of the survey depend on it.
    ensure!(
        status.clock.agrees_with(&before.status.clock),
        Code::ClockSet.because("its clock or the local clock was set during the run")
    );
    if before.took > gateway.limits.slow_api {
        return Ok(Reread::PushTimes(read_push_times(gateway)?));
    }
    let groups = gateway.groups_with::<Values>()?.into_iter();
    let groups = groups.filter(|group| group.ambiguity.is_none() && wanted.contains(&group.labels));
    Ok(Reread::Groups(groups.map(|group| (group.labels.clone(), group)).collect()))
}

/// Returns `None` if the check at `safe` is too old: then safety and gateways must be checked again.
fn decide(
    survey: &Survey,
    removal: &Removal<'_>,
    read: &HashMap<usize, RereadResult>,
    safe: Instant,
) -> Option<DeletionResult> {
    if let Err(reason) = recheck(survey, removal, read) {
        return Some(DeletionResult::kept(reason));
    }
    let gateway = &survey.gateways[removal.on].gateway;
    if safe.elapsed() >= gateway.limits.max_decision_age {
        return None;
    }
    Some(match gateway.delete(&removal.path) {
        Ok(()) => DeletionResult::Deleted { why: removal.why },
        Err(error) => DeletionResult::Failed { reason: Code::DeleteFailed.because(format!("{error:#}")) },
    })
}

fn recheck(
    survey: &Survey,
    removal: &Removal<'_>,
    read: &HashMap<usize, RereadResult>,
) -> Result<(), Reason> {
    let labels = &removal.group.labels;
    let before = PushTimes::of(removal.group);
    if before.is_none() || find(read, removal.on)?.push_times(labels) != before {
        return Err(Code::Changed.because("it changed during the run: left to the next run"));
    }
    let Some(owner) = removal.owner else { return Ok(()) };
    compare_again(survey, removal, read, (owner, "owner"), superseded)?;
    let Some(replica) = removal.replica else { return Ok(()) };
    compare_again(survey, removal, read, (replica, "replica"), replicated)
}

/// Compares the copy with the group on another gateway, as that was read again.
fn compare_again<'s>(
    survey: &'s Survey,
    removal: &Removal<'s>,
    read: &'s HashMap<usize, RereadResult>,
    (other, role): (usize, &str),
    check: impl Fn(GroupOnGateway<'s, Values>, Option<GroupOnGateway<'s, Values>>) -> Result<(), KeepReason>,
) -> Result<(), Reason> {
    let labels = &removal.group.labels;
    let surveyed =
        |index: usize| survey.gateways[index].groups().map_err(|text| Code::Unreadable.because(text));
    let (copy_at, other_at) = (surveyed(removal.on)?, surveyed(other)?);
    match find(read, other)? {
        // A group that is pushed all the time always differs from the survey: compare again.
        Reread::Groups(groups) => {
            let held = groups.get(labels).map(|group| (group, &other_at.status.clock));
            check((removal.group, &copy_at.status.clock), held).map_err(|kept| kept.to_reason())
        }
        Reread::PushTimes(times) => {
            let before = other_at.find(labels).and_then(PushTimes::of);
            if before.is_none() || times.get(labels) != before {
                let text = format!("it changed on its {role} during the run: left to the next run");
                return Err(Code::Changed.because(text));
            }
            Ok(())
        }
    }
}

fn find(read: &HashMap<usize, RereadResult>, gateway: usize) -> Result<&Reread, Reason> {
    match read.get(&gateway) {
        Some(reread) => reread.as_ref().map_err(Clone::clone),
        None => Err(Code::Unreadable.because("not read again")),
    }
}

impl Reread {
    fn push_times(&self, labels: &Labels) -> Option<PushTimes> {
        match self {
            Self::Groups(groups) => groups.get(labels).and_then(PushTimes::of),
            Self::PushTimes(times) => times.get(labels),
        }
    }
}
