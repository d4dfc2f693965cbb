//! The next step for one group: the rules that prevent the loss of data.
//!
//! Families are compared one by one, by the times of their last pushes: POST builds a group in parts, so the owner may
//! hold some families newer and lack others. The same rules hold for a replica, which gets only what the owner got: an
//! older family there would look newer than the owner's.
//!
//! Families that [conflict](crate::transfer::conflict) with other groups of the receiver are not copied.

use crate::gateway::api::{Family, Labels};
use crate::gateway::clock::{MARGIN, is_later};
use crate::reason::{Code, Reason};
use crate::transfer::conflict::{Target, conflict, same_series};
use crate::transfer::gateway_state::{GatewayState, ListedGroup, Series};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Copy these families to the receiver; none if it lacks the group and the group has no family.
    Copy(Vec<String>),
    /// The receiver holds the whole group.
    Held,
    /// Keep the group, for this reason, which includes advice.
    Keep(Reason),
    /// A push reached the receiver while it was read: read it again.
    Retry,
}

/// Decides from the state of the drained gateway and the current state of the receiver, which is the owner or, with the
/// families that the owner holds newer, the replica.
pub(super) fn next_step(
    source: &GatewayState,
    ours: &ListedGroup,
    (owner, role): Target<'_>,
    newer: &[String],
) -> Step {
    let theirs = owner.groups.get(&ours.labels);
    // A group whose labels are unknown might be this one.
    let unknown = owner.groups.get(&Labels::new()).and_then(|group| group.ambiguity.as_ref());
    let reason = match (&ours.ambiguity, theirs.and_then(|theirs| theirs.ambiguity.as_ref()), unknown) {
        (Some(ambiguity), _, _) => Some(ambiguity.clone()),
        (_, Some(ambiguity), _) => Some(ambiguity.code.because(format!("at its {role}: {ambiguity}"))),
        (_, _, Some(ambiguity)) => {
            let text = format!("its {role} has a group that may be this one: {ambiguity}");
            Some(Code::OwnerLabelsUnknown.because(text))
        }
        _ if !source.agrees(&ours.labels) => {
            Some(Code::Changed.because("a push arrived while it was read; run again"))
        }
        _ => same_series((owner, role), &ours.labels),
    };
    if let Some(reason) = reason {
        return Step::Keep(reason);
    }
    if !owner.agrees(&ours.labels) {
        return Step::Retry;
    }
    let families = match families_to_copy(source, ours, (owner, role), newer) {
        Ok(families) => families,
        Err(reason) => return Step::Keep(reason),
    };
    let exists = theirs.is_some_and(|theirs| theirs.last_push().is_some());
    if families.is_empty() && (exists || ours.is_stub()) {
        return Step::Held;
    }
    match conflict((owner, role), ours, &families) {
        Some(reason) => Step::Keep(reason),
        None => Step::Copy(families),
    }
}

/// Returns the families of a group that the owner holds with other values.
pub(super) fn different(source: &GatewayState, ours: &ListedGroup, owner: &GatewayState) -> Vec<String> {
    let theirs = owner.groups.get(&ours.labels);
    let differs = |name: &String, family: &Family<Vec<Series>>| {
        let other = theirs.and_then(|theirs| theirs.families.get(name));
        other.is_some_and(|other| !is_equal((source, family), (owner, other), name))
    };
    ours.families
        .iter()
        .filter(|(name, family)| differs(name, family))
        .map(|(name, _)| name.clone())
        .collect()
}

fn is_equal(ours: Stored<'_>, theirs: Stored<'_>, name: &str) -> bool {
    let ((source, family), (target, other)) = (ours, theirs);
    let values = source.values(name, family);
    other.kind == family.kind && values.is_some() && values == target.values(name, other)
}

/// A family, and the gateway that stores it.
type Stored<'s> = (&'s GatewayState, &'s Family<Vec<Series>>);

/// Returns the families that the receiver lacks or holds older; otherwise the reason to keep the group.
fn families_to_copy(
    source: &GatewayState,
    ours: &ListedGroup,
    (owner, role): Target<'_>,
    newer: &[String],
) -> Result<Vec<String>, Reason> {
    if ours.pushed.is_none() {
        return Err(Code::NoPushTime.because("its gateway does not report the time of the last push"));
    }
    let theirs = owner.groups.get(&ours.labels);
    let mut copy = Vec::new();
    for (name, family) in &ours.families {
        if source.values(name, family).is_none() {
            return Err(Code::ExpositionIncomplete
                .because(format!("the exposition lacks a part of {name}; run again")));
        }
        let Some(other) = theirs.and_then(|theirs| theirs.families.get(name)) else {
            copy.push(name.clone());
            continue;
        };
        if is_equal((source, family), (owner, other), name) {
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
                    "{name} differs at its {role} and both were pushed within {margin} s, so neither is provably newer; \
                     push the group again, then run again"
                )));
            }
        }
    }
    match copy.iter().find(|name| newer.contains(name)) {
        Some(name) => Err(Code::Unreplicated.because(format!(
            "its {role} lacks {name} or holds it older, and its owner holds it newer; push the group again, or run \
             `pushring sweep --repair`, then run again"
        ))),
        None => Ok(copy),
    }
}
