//! Sends the request of a decision, while the readings are fresh.

use std::sync::PoisonError;

use super::decide::{Action, Copy, Difference};
use super::place::Group;
use super::readings::Readings;
use super::restored::{GROUP, Restored, RestoredFamilies};
use crate::gateway::client::{Gateway, PushResponse};
use crate::reason::{Code, Reason};
use crate::transfer::gateway_state::{GatewayState, ListedGroup};
use crate::transfer::push::{body, remove_stub};

/// The effect of a request.
pub(super) enum Sent {
    /// The receiver accepted it. The next reading shows whether it holds it.
    Accepted,
    /// The readings were too old to send it.
    TooLate,
    /// It may conflict with what this run pushed since the contents of the receiver were read.
    Reread,
    Failed(Difference),
}

/// Sends a request; adds what it stores on the owner to `restored`.
pub(super) fn send(
    group: &Group,
    copy: &Copy,
    readings: &Readings<'_>,
    restored: &mut RestoredFamilies,
) -> Sent {
    let known = readings.gateway(copy.to);
    let gateway = &known.gateway;
    let is_late = || readings.is_late(group);
    let sent = match (copy.action, readings.state(copy.from), readings.state(copy.to)) {
        (Action::Delete, _, _) => {
            if is_late() {
                return Sent::TooLate;
            }
            delete(gateway, group)
        }
        (_, Ok(source), Ok(target)) => {
            let Some((method, body)) = content(group, copy, source, target) else {
                let reason =
                    Code::UnsupportedType.because("it has a type that this version does not support");
                return Sent::Failed(difference(copy, reason));
            };
            if is_late() {
                return Sent::TooLate;
            }
            let stored = source.groups.get(&group.labels).filter(|_| copy.action != Action::Drop);
            let names = &copy.families;
            let mut pushed = known.pushed.lock().unwrap_or_else(PoisonError::into_inner);
            if stored.is_some_and(|stored| !pushed.admit(stored, names)) {
                return Sent::Reread;
            }
            drop(pushed);
            let exists = target.groups.contains_key(&group.labels);
            let sent = push(gateway, group, method, body, exists);
            if sent.is_ok() && copy.to == group.owner {
                remember(group, copy, readings, target, restored);
            }
            sent
        }
        (_, Err(reason), _) | (_, _, Err(reason)) => Err(reason),
    };
    match sent {
        Ok(()) => Sent::Accepted,
        Err(reason) => Sent::Failed(difference(copy, reason)),
    }
}

fn difference(copy: &Copy, reason: Reason) -> Difference {
    Difference { from: copy.from, to: copy.to, families: copy.families.clone(), reason }
}

/// Returns method and body of a push. `None` if a family has an unknown type.
fn content(
    group: &Group,
    copy: &Copy,
    source: &GatewayState,
    target: &GatewayState,
) -> Option<(&'static str, Vec<u8>)> {
    let of = |state: &'_ GatewayState, all: bool| {
        let stored: &ListedGroup = state.groups.get(&group.labels)?;
        let names = stored.families.keys().filter(|name| all != copy.families.contains(name));
        body(state, stored, names.map(String::as_str))
    };
    match copy.action {
        Action::Add => Some(("POST", of(source, false)?)),
        Action::Replace => {
            let stored = source.groups.get(&group.labels)?;
            Some(("PUT", body(source, stored, stored.families.keys().map(String::as_str))?))
        }
        Action::Drop => Some(("PUT", of(target, true)?)),
        Action::Delete => None,
    }
}

fn push(gateway: &Gateway, group: &Group, method: &str, body: Vec<u8>, exists: bool) -> Result<(), Reason> {
    let pushed =
        if method == "PUT" { gateway.put(&group.path, body) } else { gateway.post(&group.path, body) };
    match pushed {
        Ok(PushResponse::Accepted) => Ok(()),
        Ok(PushResponse::Rejected(message)) => {
            let stub = if exists { Ok(()) } else { remove_stub(gateway, &group.labels, &group.path) };
            let left = stub.err().map(|error| format!("; a stub may remain there: {error:#}"));
            let text = format!("{} rejected it: {message}{}", gateway.name(), left.unwrap_or_default());
            Err(Code::OwnerRejected.because(text))
        }
        Err(error) => {
            Err(Code::PushFailed.because(format!("the push to {} failed: {error:#}", gateway.name())))
        }
    }
}

fn delete(gateway: &Gateway, group: &Group) -> Result<(), Reason> {
    gateway.delete(&group.path).map_err(|error| Code::DeleteFailed.because(format!("{error:#}")))
}

/// Remembers what a push stored on the owner.
fn remember(
    group: &Group,
    copy: &Copy,
    readings: &Readings<'_>,
    owner: &GatewayState,
    restored: &mut RestoredFamilies,
) {
    let mut add = |name: &String, (from, source): (usize, &GatewayState), values: &GatewayState| {
        if let Some(new) = Restored::new(name, group, (from, source), owner, values) {
            restored.insert(name.clone(), new);
        }
    };
    let (Action::Drop, Some(replica)) = (copy.action, group.replica) else {
        let Ok(source) = readings.state(copy.from) else { return };
        copy.families.iter().for_each(|name| add(name, (copy.from, source), source));
        if copy.families.is_empty() {
            add(&GROUP.to_owned(), (copy.from, source), source);
        }
        return;
    };
    // The push stored the other families again, so that a client's push at the same moment is known only on the replica.
    if let (Ok(original), Some(kept)) = (readings.state(replica), owner.groups.get(&group.labels)) {
        let names = kept.families.keys().filter(|name| !copy.families.contains(*name));
        names.for_each(|name| add(name, (replica, original), owner));
    }
    restored.retain(|name, _| !copy.families.contains(name));
}
