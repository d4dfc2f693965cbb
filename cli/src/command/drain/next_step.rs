//! What is to be done with one group: the rules by which nothing is lost.
//!
//! Families are compared one by one, by the time at which each was pushed: POST builds a group piecemeal, so its owner
//! may have some of them newer and lack others.
//!
//! Families that do not go together with what the owner holds are not carried: the rules are those of
//! `Gatherers.Gather` in prometheus/client_golang 1.23, which every scrape of a Pushgateway follows. A gateway with
//! `--push.disable-consistency-check` would take them, and then answer 500 to every scrape. Others refuse them, but keep
//! a stub of the group.

use super::gateway_state::{GatewayState, ListedGroup};
use crate::gateway::api::Labels;
use crate::gateway::clock::{MARGIN, is_later};
use crate::output;

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
    Retry,
}

/// Decides by what the leaving gateway held and what the owner holds now.
pub(super) fn next_step(source: &GatewayState, ours: &ListedGroup, owner: &GatewayState) -> Step {
    let theirs = owner.groups.get(&ours.labels);
    // The group under no labels may be any.
    let any = owner.groups.get(&Labels::new()).and_then(|group| group.ambiguity.as_ref());
    let reason = match (&ours.ambiguity, theirs.and_then(|theirs| theirs.ambiguity.as_ref()), any) {
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
        return Step::Retry;
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
fn to_carry(source: &GatewayState, ours: &ListedGroup, owner: &GatewayState) -> Result<Vec<String>, String> {
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

/// Why the owner must not get these families of a group, and what to do. `None`: they go together.
fn conflict(owner: &GatewayState, group: &ListedGroup, names: &[String]) -> Option<String> {
    names.iter().find_map(|name| {
        let family = group.families.get(name)?;
        let reason = other_type(owner, group, name, &family.kind)
            .or_else(|| collision(owner, name, &family.kind))
            .or_else(|| twice(owner, group, name))?;
        Some(format!("{reason}; rename or delete one of them, then run again"))
    })
}

/// Groups that differ only in `instance=""` have the same `push_time_seconds`: a gateway holds one of them.
fn same_series(owner: &GatewayState, labels: &Labels) -> Option<String> {
    let mut twin = labels.clone();
    match twin.remove("instance") {
        None => drop(twin.insert("instance".to_owned(), String::new())),
        Some(instance) if instance.is_empty() => {}
        Some(_) => return None,
    }
    let twin = owner.groups.get(&twin)?;
    Some(format!(
        "the owner holds {}, which has the same series; delete one of the two, then run again",
        output::group(&twin.labels)
    ))
}

/// A family has one type on a gateway, whatever the groups; also one of the gateway's own metrics.
fn other_type(owner: &GatewayState, group: &ListedGroup, name: &str, kind: &str) -> Option<String> {
    let replaced = owner.groups.get(&group.labels).and_then(|theirs| theirs.families.get(name));
    let (other, _) = owner.kinds.get(name)?.iter().find(|&(other, &groups)| {
        let replaced = replaced.is_some_and(|replaced| replaced.kind == *other);
        other != kind && groups > usize::from(replaced)
    })?;
    let mut others = owner.groups.iter().filter(|(labels, _)| **labels != group.labels);
    let place = match others.find(|(_, stored)| stored.families.get(name).is_some_and(|f| f.kind == *other)) {
        Some((labels, _)) => format!("in the owner's group {}", output::group(labels)),
        None => "among the owner's own metrics".to_owned(),
    };
    Some(format!("{name} is {kind} here and {other} {place}"))
}

/// What Prometheus calls the parts of a histogram or a summary is no name of another family.
fn collision(owner: &GatewayState, name: &str, kind: &str) -> Option<String> {
    let has_part =
        parts(kind).iter().map(|part| format!("{name}{part}")).find(|part| owner.kinds.contains_key(part));
    let other = has_part.or_else(|| whole(owner, name))?;
    Some(format!("{name} ({kind}) collides with the owner's {other}: one is a part of the other"))
}

/// The histogram or summary of the owner that `name` would be a part of.
fn whole(owner: &GatewayState, name: &str) -> Option<String> {
    let mut all = ["_count", "_sum", "_bucket"].into_iter();
    let (whole, part) = all.find_map(|part| Some((name.strip_suffix(part)?, part)))?;
    owner.kinds.get(whole)?.keys().any(|kind| parts(kind).contains(&part)).then(|| whole.to_owned())
}

fn parts(kind: &str) -> &'static [&'static str] {
    match kind {
        "HISTOGRAM" => &["_count", "_sum", "_bucket"],
        "SUMMARY" => &["_count", "_sum"],
        _ => &[],
    }
}

/// The same series in two groups: a grouping label of one is a label of the metric in the other.
fn twice(owner: &GatewayState, group: &ListedGroup, name: &str) -> Option<String> {
    let exposed = owner.exposed.get(name)?;
    let replaced = owner.groups.get(&group.labels).and_then(|theirs| theirs.families.get(name));
    let family = group.families.get(name)?;
    let double = family.metrics.iter().any(|series| {
        exposed.metrics.contains_key(series)
            && !replaced.is_some_and(|family| family.metrics.contains(series))
    });
    double.then(|| format!("the owner has a series of {name} in another group already"))
}
