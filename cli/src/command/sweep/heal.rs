//! `--heal`: deletes stubs that make their gateway reject every push and answer 500 at `/metrics`.
//!
//! Nothing is lost with a stub: no push to it was ever accepted. Before a deletion the gateway is diagnosed again, and
//! the deletion is sent within [`Limits::max_decision_age`](crate::gateway::time_limits::Limits) of that.

use std::time::Instant;

use serde::Serialize;

use crate::cleanup::copy::{DeletionResult, GroupCopy};
use crate::cleanup::safety_check::SafetyCheck;
use crate::command::groups::culprits::{Blamed, Detailed};
use crate::command::groups::diagnose::refusing;
use crate::fleet::source::Fleet;
use crate::fleet::unreadable::Unreadable;
use crate::gateway::api::NO_PUSH_TIME;
use crate::gateway::client::Gateway;
use crate::gateway::pool::Gateways;
use crate::gateway::push_times::PushTimes;
use crate::reason::{Code, Reason};

/// Why a stub was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Poison {
    pub(crate) poison: String,
}

/// The stubs that poison gateways, with their results, and the gateways that cannot be diagnosed.
#[derive(Debug, Default)]
pub(crate) struct Healed {
    pub(crate) stubs: Vec<GroupCopy<Poison>>,
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A stub that poisons its gateway.
#[derive(Clone, Debug)]
struct Stub {
    blamed: Blamed,
    /// The times of its last push; of all stubs whose labels are equal in the API, which does not show the bytes. The error
    /// says why it cannot be identified.
    times: Result<Vec<PushTimes>, Reason>,
}

/// Heals all gateways once. With `dry_run` the stubs are only listed.
pub(super) fn heal(fleet: &Fleet, gateways: &Gateways, safety: &SafetyCheck, dry_run: bool) -> Healed {
    let config = fleet.router.config();
    let on_ring = config.members.iter().map(|member| (true, member));
    let all: Vec<_> = on_ring.chain(fleet.registered.iter().map(|member| (false, member))).collect();
    let results = gateways.each(&all, |(on_ring, member)| {
        let gateway = gateways.gateway(&member.name, &member.address);
        let safety = (!dry_run).then_some(safety);
        heal_gateway(&gateway, &config.path_prefix, safety).map_err(|error| Unreadable {
            gateway: member.name.clone(),
            on_ring: *on_ring,
            reason: format!("{error:#}"),
        })
    });
    let mut healed = Healed::default();
    for result in results {
        match result {
            Ok(stubs) => healed.stubs.extend(stubs),
            Err(gateway) => healed.unreadable.push(gateway),
        }
    }
    healed
}

/// Heals one gateway; without `safety` only lists its stubs.
fn heal_gateway(
    gateway: &Gateway,
    prefix: &str,
    safety: Option<&SafetyCheck>,
) -> anyhow::Result<Vec<GroupCopy<Poison>>> {
    let stubs = stubs(gateway)?;
    let Some(safety) = safety.filter(|_| stubs.iter().any(|stub| stub.times.is_ok())) else {
        let planned = |stub: &Stub| match &stub.times {
            Ok(_) => DeletionResult::Deleted { why: None },
            Err(reason) => DeletionResult::kept(reason.clone()),
        };
        return Ok(stubs.iter().map(|stub| stub.result(gateway, planned(stub))).collect());
    };
    let unsafe_now = safety.check().err().map(|error| Reason::from_error(&error, Code::NotSafe));
    let checked = Instant::now();
    let again = self::stubs(gateway)?;
    let decide = |stub: &Stub| {
        let is_same = |other: &Stub| {
            other.blamed.paths(prefix) == stub.blamed.paths(prefix) && other.times == stub.times
        };
        let kept = if let Some(reason) = stub.times.as_ref().err().or(unsafe_now.as_ref()) {
            reason.clone()
        } else if !again.iter().any(is_same) {
            Code::Changed.because("it changed during the run: left to the next run")
        } else if checked.elapsed() >= gateway.limits.max_decision_age {
            Code::TooSlow.because("reading its gateway again takes longer than a second")
        } else {
            return stub.delete(gateway, prefix);
        };
        DeletionResult::kept(kept)
    };
    Ok(stubs.iter().map(|stub| stub.result(gateway, decide(stub))).collect())
}

/// Returns the stubs that poison a gateway. A group with other families, or with an accepted push, is never one.
fn stubs(gateway: &Gateway) -> anyhow::Result<Vec<Stub>> {
    let Some((blamed, groups)) = refusing(gateway)? else { return Ok(Vec::new()) };
    let stub = |blamed: Blamed| {
        let labels = blamed.labels();
        let same: Vec<_> = groups.iter().filter(|group| group.labels == labels).collect();
        let times = times(&same)?;
        Some(Stub { blamed, times })
    };
    Ok(blamed.into_iter().filter_map(stub).collect())
}

/// Returns the times of these groups, whose labels are equal in the API. `None` if none of them is a stub. The error says
/// why the stub cannot be identified.
fn times(same: &[&Detailed]) -> Option<Result<Vec<PushTimes>, Reason>> {
    let stubs = same.iter().filter(|group| group.is_stub()).count();
    if stubs == 0 {
        return None;
    }
    if stubs < same.len() {
        let text = "the gateway's API shows a group with data under the same labels (U+FFFD for each byte that is not \
                    UTF-8), so the stub cannot be identified: see `pushring groups --conflicts`";
        return Some(Err(Code::NotUtf8.because(text)));
    }
    let times: Option<Vec<PushTimes>> = same.iter().map(|group| PushTimes::of(group)).collect();
    Some(times.ok_or_else(|| Code::NoPushTime.because(NO_PUSH_TIME)).map(|mut times| {
        times.sort_unstable();
        times
    }))
}

impl Stub {
    fn delete(&self, gateway: &Gateway, prefix: &str) -> DeletionResult {
        for path in self.blamed.paths(prefix) {
            if let Err(error) = gateway.delete(&path) {
                return DeletionResult::Failed { reason: Code::DeleteFailed.because(format!("{error:#}")) };
            }
        }
        DeletionResult::Deleted { why: None }
    }

    fn result(&self, gateway: &Gateway, result: DeletionResult) -> GroupCopy<Poison> {
        let detail = Poison { poison: self.blamed.reason.text.clone() };
        GroupCopy { labels: self.blamed.labels(), on: gateway.name().to_owned(), detail, result }
    }
}
