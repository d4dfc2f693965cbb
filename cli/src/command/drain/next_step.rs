//! What is to be done with one group: the rules by which nothing is lost.
//!
//! Families are compared one by one, by the time at which each was pushed: POST builds a group piecemeal, so its owner
//! may have some of them newer and lack others.

use crate::command::drain::conflict::{conflict, same_series};
use crate::command::drain::gateway_state::{Holding, Told};
use crate::gateway::api::Labels;
use crate::gateway::clock::{MARGIN, is_later};

/// What a group needs next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The owner takes these families; none where it lacks the group and the group has none.
    Carry(Vec<String>),
    /// The owner holds all there is: the copy can be deleted.
    Held,
    /// Not certain, for this reason and with what to do: nothing is touched.
    Keep(String),
    /// The owner was pushed to while it was read.
    Again,
}

/// Decides by what the leaving gateway held and what the owner holds now.
pub(super) fn step(source: &Holding, ours: &Told, owner: &Holding) -> Step {
    let theirs = owner.groups.get(&ours.labels);
    // The group under no labels may be any.
    let any = owner.groups.get(&Labels::new()).and_then(|group| group.doubt.as_ref());
    let reason = match (&ours.doubt, theirs.and_then(|theirs| theirs.doubt.as_ref()), any) {
        (Some(doubt), _, _) => Some(doubt.clone()),
        (_, Some(doubt), _) => Some(format!("at its owner: {doubt}")),
        (_, _, Some(doubt)) => Some(format!("its owner has a group that may be this one: {doubt}")),
        _ if !source.agrees(&ours.labels) => Some("it was pushed to while it was read; run again".to_owned()),
        _ => same_series(owner, &ours.labels),
    };
    if let Some(reason) = reason {
        return Step::Keep(reason);
    }
    if !owner.agrees(&ours.labels) {
        return Step::Again;
    }
    let carry = match to_carry(source, ours, owner) {
        Ok(carry) => carry,
        Err(reason) => return Step::Keep(reason),
    };
    let exists = theirs.is_some_and(|theirs| theirs.last_push().is_some());
    if carry.is_empty() && (exists || ours.is_stub()) {
        return Step::Held;
    }
    match conflict(owner, ours, &carry) {
        Some(reason) => Step::Keep(reason),
        None => Step::Carry(carry),
    }
}

/// The families that the owner lacks or has older.
fn to_carry(source: &Holding, ours: &Told, owner: &Holding) -> Result<Vec<String>, String> {
    if ours.pushed.is_none() {
        return Err("its gateway does not tell when it was pushed".to_owned());
    }
    let theirs = owner.groups.get(&ours.labels);
    let mut carry = Vec::new();
    for (name, family) in &ours.families {
        let Some(values) = source.values(name, family) else {
            return Err(format!("the exposition has not all of {name}; run again"));
        };
        let Some(other) = theirs.and_then(|theirs| theirs.families.get(name)) else {
            carry.push(name.clone());
            continue;
        };
        if other.kind == family.kind && owner.values(name, other).is_some_and(|other| other == values) {
            continue;
        }
        let (us, them) = ((family.time_stamp, &source.clock), (other.time_stamp, &owner.clock));
        match (is_later(us, them), is_later(them, us)) {
            (Some(true), _) => carry.push(name.clone()),
            (_, Some(true)) => {}
            (None, _) | (_, None) => {
                return Err("a gateway answers too slowly to know its clock; run again".to_owned());
            }
            (Some(false), Some(false)) => {
                let margin = MARGIN.as_secs();
                return Err(format!(
                    "{name} differs at its owner and was pushed there within {margin} s of this one, so neither is \
                     certainly newer; push the group again, then run again"
                ));
            }
        }
    }
    Ok(carry)
}
