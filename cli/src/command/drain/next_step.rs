//! The next step for one group: the rules that prevent the loss of data.
//!
//! Families are compared one by one, by the times of their last pushes: POST builds a group in parts, so the owner may
//! hold some families newer and lack others.
//!
//! Families that conflict with the owner's groups are not copied. The rules are those of `Gatherers.Gather` in
//! prometheus/client_golang 1.23, which every scrape of a Pushgateway applies. A gateway with
//! `--push.disable-consistency-check` would accept such families and then respond with 500 to every scrape. Other
//! gateways reject them, but keep a stub of the group.

use super::gateway_state::{GatewayState, ListedGroup};
use crate::gateway::api::Labels;
use crate::gateway::clock::{MARGIN, is_later};
use crate::output;
use crate::reason::{Code, Reason};

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
        _ => same_series(owner, &ours.labels),
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
    match conflict(owner, ours, &families) {
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

/// Returns the reason, with advice, why these families conflict with the owner's groups. `None` if they do not.
fn conflict(owner: &GatewayState, group: &ListedGroup, names: &[String]) -> Option<Reason> {
    names.iter().find_map(|name| {
        let family = group.families.get(name)?;
        let reason = other_type(owner, group, name, &family.kind)
            .or_else(|| collision(owner, name, &family.kind))
            .or_else(|| duplicate_series(owner, group, name))?;
        Some(reason.code.because(format!("{reason}; rename or delete one of them, then run again")))
    })
}

/// Detects a group that differs only in `instance=""`: both would have the same `push_time_seconds` on one gateway.
fn same_series(owner: &GatewayState, labels: &Labels) -> Option<Reason> {
    let mut twin = labels.clone();
    match twin.remove("instance") {
        None => drop(twin.insert("instance".to_owned(), String::new())),
        Some(instance) if instance.is_empty() => {}
        Some(_) => return None,
    }
    let twin = owner.groups.get(&twin)?;
    Some(Code::SeriesConflict.because(format!(
        "the owner holds {}, which has the same series; delete one of the two, then run again",
        output::group(&twin.labels)
    )))
}

/// Detects another type: a family has one type in all groups of a gateway and in the gateway's own metrics.
fn other_type(owner: &GatewayState, group: &ListedGroup, name: &str, kind: &str) -> Option<Reason> {
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
    Some(Code::TypeConflict.because(format!("{name} is {kind} here and {other} {place}")))
}

/// Detects a family with the name of a part of a histogram or a summary, such as `h_bucket`.
fn collision(owner: &GatewayState, name: &str, kind: &str) -> Option<Reason> {
    let has_part =
        parts(kind).iter().map(|part| format!("{name}{part}")).find(|part| owner.kinds.contains_key(part));
    let other = has_part.or_else(|| whole(owner, name))?;
    let text = format!("{name} ({kind}) collides with the owner's {other}: one is a part of the other");
    Some(Code::NameConflict.because(text))
}

/// Returns the histogram or summary of the owner of which `name` would be a part.
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

/// Detects the same series in two groups: a label of one group may be a label of a metric in the other.
fn duplicate_series(owner: &GatewayState, group: &ListedGroup, name: &str) -> Option<Reason> {
    let exposed = owner.exposed.get(name)?;
    let replaced = owner.groups.get(&group.labels).and_then(|theirs| theirs.families.get(name));
    let family = group.families.get(name)?;
    let double = family.metrics.iter().any(|series| {
        exposed.metrics.contains_key(series)
            && !replaced.is_some_and(|family| family.metrics.contains(series))
    });
    let text = || format!("the owner already has a series of {name} in another group");
    double.then(|| Code::SeriesConflict.because(text()))
}
