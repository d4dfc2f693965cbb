//! The next step for one group: the rules that prevent the loss of data.
//!
//! Families are compared one by one, by the times of their last pushes: POST builds a group in parts, so the owner may
//! hold some families newer and lack others.
//!
//! Families that [conflict](crate::transfer::conflict) with the owner's groups are not copied.

use crate::gateway::api::Labels;
use crate::gateway::clock::{MARGIN, is_later};
use crate::reason::{Code, Reason};
use crate::transfer::conflict::{conflict, same_series};
use crate::transfer::gateway_state::{GatewayState, ListedGroup};

/// The receiver of a copy, in messages.
const OWNER: &str = "owner";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Copy these families to the owner; none if the owner lacks the group and the group has no family.
    Copy(Vec<String>),
    /// The owner holds the whole group: the copy here can be deleted.
    Held,
    /// Keep the group, for this reason, which includes advice.
    Keep(Reason),
    /// A push reached the owner while it was read: read it again.
    Retry,
}

/// Decides from the state of the drained gateway and the current state of the owner.
pub(super) fn next_step(source: &GatewayState, ours: &ListedGroup, owner: &GatewayState) -> Step {
    let theirs = owner.groups.get(&ours.labels);
    // A group whose labels are unknown might be this one.
    let unknown = owner.groups.get(&Labels::new()).and_then(|group| group.ambiguity.as_ref());
    let reason = match (&ours.ambiguity, theirs.and_then(|theirs| theirs.ambiguity.as_ref()), unknown) {
        (Some(ambiguity), _, _) => Some(ambiguity.clone()),
        (_, Some(ambiguity), _) => Some(ambiguity.code.because(format!("at its owner: {ambiguity}"))),
        (_, _, Some(ambiguity)) => {
            let text = format!("its owner has a group that may be this one: {ambiguity}");
            Some(Code::OwnerLabelsUnknown.because(text))
        }
        _ if !source.agrees(&ours.labels) => {
            Some(Code::Changed.because("a push arrived while it was read; run again"))
        }
        _ => same_series((owner, OWNER), &ours.labels),
    };
    if let Some(reason) = reason {
        return Step::Keep(reason);
    }
    if !owner.agrees(&ours.labels) {
        return Step::Retry;
    }
    let families = match families_to_copy(source, ours, owner) {
        Ok(families) => families,
        Err(reason) => return Step::Keep(reason),
    };
    let exists = theirs.is_some_and(|theirs| theirs.last_push().is_some());
    if families.is_empty() && (exists || ours.is_stub()) {
        return Step::Held;
    }
    match conflict((owner, OWNER), ours, &families) {
        Some(reason) => Step::Keep(reason),
        None => Step::Copy(families),
    }
}

/// Returns the families that the owner lacks or holds older; otherwise the reason to keep the group.
fn families_to_copy(
    source: &GatewayState,
    ours: &ListedGroup,
    owner: &GatewayState,
) -> Result<Vec<String>, Reason> {
    if ours.pushed.is_none() {
        return Err(Code::NoPushTime.because("its gateway does not report the time of the last push"));
    }
    let theirs = owner.groups.get(&ours.labels);
    let mut copy = Vec::new();
    for (name, family) in &ours.families {
        let Some(values) = source.values(name, family) else {
            return Err(Code::ExpositionIncomplete
                .because(format!("the exposition lacks a part of {name}; run again")));
        };
        let Some(other) = theirs.and_then(|theirs| theirs.families.get(name)) else {
            copy.push(name.clone());
            continue;
        };
        if other.kind == family.kind && owner.values(name, other).is_some_and(|other| other == values) {
            continue;
        }
        let (us, them) = ((family.time_stamp, &source.clock), (other.time_stamp, &owner.clock));
        match (is_later(us, them), is_later(them, us)) {
            (Some(true), _) => copy.push(name.clone()),
            (_, Some(true)) => {}
            (None, _) | (_, None) => {
                let reason = "a gateway responded too slowly to determine its clock offset; run again";
                return Err(Code::ClockUncertain.because(reason));
            }
            (Some(false), Some(false)) => {
                let margin = MARGIN.as_secs();
                return Err(Code::NotNewer.because(format!(
                    "{name} differs at its owner and both were pushed within {margin} s, so neither is provably newer; \
                     push the group again, then run again"
                )));
            }
        }
    }
    Ok(copy)
}
