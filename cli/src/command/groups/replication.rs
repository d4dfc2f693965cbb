//! Compares the two copies of a group with `mirror: all`: its owner's and its replica's.
//!
//! Time stamps do not show which copies are equal: Envoy mirrors a push in parallel, so of two quick pushes the replica may
//! keep the older one with the later time stamp. Values do. A copy that was pushed shortly before it was read may differ
//! from a healthy one, because the other gateway was about to receive the same push.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use super::states::State;
use crate::cleanup::copy::list;
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Groups, Survey, locate_group};
use crate::gateway::api::StoredGroup;
use crate::gateway::clock::MARGIN;
use crate::gateway::pool::Gateways;
use crate::gateway::values::Values;
use crate::reason::{Code, Reason};

/// A push that is older than this when both gateways are read has reached both: a second more than the margin of clocks.
const IN_FLIGHT: Duration = Duration::from_secs(3);
/// Pause before the second reading: the error of a clock is about half a second.
const PAUSE: Duration = Duration::from_secs(4);

/// A group, and the gateway that stores it.
type Copy<'s> = (&'s Groups, &'s StoredGroup<Values>);

/// Returns whether a push that one gateway stored at this time was over when both were read.
type Arrived = fn(&Groups, Timestamp, &Groups) -> bool;

/// Reads gateways again, once, if pushes in flight may explain why a replica differs from its owner.
pub(super) fn settle(fleet: &Fleet, gateways: &Gateways, survey: &mut Survey) {
    let again = in_flight(fleet, survey);
    if !again.is_empty() {
        thread::sleep(PAUSE);
        survey.read_again(gateways, &again);
    }
}

/// Returns the gateways of the groups that differ, perhaps because of a push in flight.
fn in_flight(fleet: &Fleet, survey: &Survey) -> BTreeSet<usize> {
    let mut again = BTreeSet::new();
    for (on, groups, group) in survey.copies() {
        let Ok(location) = locate_group(&fleet.router, group) else { continue };
        let Some(replica) = location.replica.filter(|_| location.owner == on) else { continue };
        let Ok(held_at) = survey.gateways[replica].groups() else { continue };
        let is_in_flight = match held_at.find(&group.labels) {
            Some(held) => {
                let differs =
                    |arrived: Arrived| difference((groups, group), (held_at, held), arrived).is_some();
                differs(|_, _, _| true) && !differs(has_arrived)
            }
            None => group.last_push().is_some_and(|pushed| !has_arrived(groups, pushed, held_at)),
        };
        if is_in_flight {
            again.extend([on, replica]);
        }
    }
    again
}

/// Returns the state of a copy on the replica of its group, and the reason unless it is healthy.
pub(super) fn of_replica(survey: &Survey, copy: Copy<'_>, owner: usize) -> (State, Option<Reason>) {
    let owner = &survey.gateways[owner];
    let groups = match owner.groups() {
        Ok(groups) => groups,
        Err(reason) => {
            let text = format!("its owner {} cannot be read: {reason}", owner.gateway.name());
            return (State::Unknown, Some(Code::OwnerUnreadable.because(text)));
        }
    };
    match groups.find(&copy.1.labels) {
        Some(owned) if owned.ambiguity.is_some() => (State::Unknown, owned.ambiguity.clone()),
        Some(owned) if owned.last_push().is_some() => match difference((groups, owned), copy, has_arrived) {
            None => (State::Replica, None),
            reason => (State::StaleReplica, reason),
        },
        _ => (State::LeftBehind, Some(lost_or_deleted(groups, copy))),
    }
}

/// Returns why a copy on its owner has no replica. `None` if it has one, or may have one.
pub(super) fn unreplicated(survey: &Survey, copy: Copy<'_>, replica: usize) -> Option<Reason> {
    let replica = &survey.gateways[replica];
    let groups = replica.groups().ok()?;
    let is_stored = groups.find(&copy.1.labels).is_some_and(|held| !held.is_stub());
    let pushed = copy.1.last_push()?;
    (!is_stored && has_arrived(copy.0, pushed, groups)).then(|| {
        Code::Unreplicated.because(format!("its replica {} does not hold it", replica.gateway.name()))
    })
}

/// Returns the first difference of a replica from its owner that no push in flight explains.
fn difference(owner: Copy<'_>, replica: Copy<'_>, arrived: Arrived) -> Option<Reason> {
    let ((owner_at, owner), (replica_at, replica)) = (owner, replica);
    let at_owner = |stamp| arrived(owner_at, stamp, replica_at);
    let at_replica = |stamp| arrived(replica_at, stamp, owner_at);
    let names: BTreeSet<&String> = owner.families.keys().chain(replica.families.keys()).collect();
    let (mut replica_lacks, mut owner_lacks, mut differ) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match (owner.families.get(name), replica.families.get(name)) {
            (Some(ours), Some(theirs)) => {
                let same = (&ours.kind, ours.metrics) == (&theirs.kind, theirs.metrics);
                if !same && at_owner(ours.time_stamp) && at_replica(theirs.time_stamp) {
                    differ.push(name.clone());
                }
            }
            (Some(ours), None) if at_owner(ours.time_stamp) => replica_lacks.push(name.clone()),
            (None, Some(theirs))
                if at_replica(theirs.time_stamp) && owner.last_push().is_some_and(at_owner) =>
            {
                owner_lacks.push(name.clone());
            }
            _ => {}
        }
    }
    match () {
        () if !replica_lacks.is_empty() => {
            Some(Code::ReplicaLacking.because(format!("the replica lacks {}", list(&replica_lacks))))
        }
        () if !differ.is_empty() => {
            Some(Code::ReplicaDiffers.because(format!("values differ from the owner's: {}", list(&differ))))
        }
        () if !owner_lacks.is_empty() => {
            Some(Code::Lacking.because(format!("the owner lacks {}", list(&owner_lacks))))
        }
        () => None,
    }
}

/// Returns whether a push of this time on one gateway was certainly over when both were read.
fn has_arrived(on: &Groups, stamp: Timestamp, other: &Groups) -> bool {
    let clock = &on.status.clock;
    let age = on.began.min(other.began).duration_since(clock.ours(stamp));
    clock.is_certain() && Duration::try_from(age).is_ok_and(|age| age > IN_FLIGHT)
}

/// Returns the reason why a running owner does not hold a group that its replica holds.
fn lost_or_deleted(owner: &Groups, (on, group): Copy<'_>) -> Reason {
    let restarted = match (owner.status.started(), group.last_push()) {
        (Some(started), Some(pushed)) => {
            owner.status.clock.ours(started) > on.status.clock.ours(pushed) - MARGIN
        }
        _ => true,
    };
    if restarted {
        Code::LostByOwner.because("its owner restarted since and lost it")
    } else {
        Code::LeftBehind.because("its owner, which has not restarted since, does not hold it")
    }
}
