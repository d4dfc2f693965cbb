//! The reasons why a gateway must not get a copy of a family.
//!
//! The rules are those of `Gatherers.Gather` in prometheus/client_golang 1.23, which every scrape of a Pushgateway applies.
//! A gateway with `--push.disable-consistency-check` would accept such families and then respond with 500 to every scrape.
//! Other gateways reject them, but keep a stub of the group.

use crate::gateway::api::Labels;
use crate::gateway::family_types;
use crate::output;
use crate::reason::{Code, Reason};
use crate::transfer::gateway_state::{GatewayState, ListedGroup};

/// The gateway that gets a copy, and its role in messages, such as "owner".
pub(crate) type Target<'s> = (&'s GatewayState, &'static str);

/// Returns the reason, with advice, why these families of a group conflict with other groups of the target. `None` if
/// they do not.
pub(crate) fn conflict(target: Target<'_>, group: &ListedGroup, names: &[String]) -> Option<Reason> {
    names.iter().find_map(|name| {
        let family = group.families.get(name)?;
        let reason = other_type(target, group, name, &family.kind)
            .or_else(|| collision(target, name, &family.kind))
            .or_else(|| duplicate_series(target, group, name))?;
        Some(reason.code.because(format!("{reason}; rename or delete one of them, then run again")))
    })
}

/// Detects a group that differs only in `instance=""`: both would have the same `push_time_seconds` on one gateway.
pub(crate) fn same_series((state, role): Target<'_>, labels: &Labels) -> Option<Reason> {
    let mut twin = labels.clone();
    match twin.remove("instance") {
        None => drop(twin.insert("instance".to_owned(), String::new())),
        Some(instance) if instance.is_empty() => {}
        Some(_) => return None,
    }
    let twin = state.groups.get(&twin)?;
    Some(Code::SeriesConflict.because(format!(
        "the {role} holds {}, which has the same series; delete one of the two, then run again",
        output::group(&twin.labels)
    )))
}

/// Detects another type: a family has one type in all groups of a gateway and in the gateway's own metrics.
fn other_type((state, role): Target<'_>, group: &ListedGroup, name: &str, kind: &str) -> Option<Reason> {
    let replaced = state.groups.get(&group.labels).and_then(|theirs| theirs.families.get(name));
    let (other, _) = state.kinds.get(name)?.iter().find(|&(other, &groups)| {
        let replaced = replaced.is_some_and(|replaced| replaced.kind == *other);
        other != kind && groups > usize::from(replaced)
    })?;
    let mut others = state.groups.iter().filter(|(labels, _)| **labels != group.labels);
    let place = match others.find(|(_, stored)| stored.families.get(name).is_some_and(|f| f.kind == *other)) {
        Some((labels, _)) => format!("in the {role}'s group {}", output::group(labels)),
        None => format!("among the {role}'s own metrics"),
    };
    Some(Code::TypeConflict.because(format!("{name} is {kind} here and {other} {place}")))
}

/// Detects a family with the name of a part of a histogram or a summary, such as `h_bucket`.
fn collision((state, role): Target<'_>, name: &str, kind: &str) -> Option<Reason> {
    let kinds =
        |name: &str| state.kinds.get(name).into_iter().flat_map(|kinds| kinds.keys()).map(String::as_str);
    let other = family_types::collision(name, kind, kinds)?;
    let text = format!("{name} ({kind}) collides with the {role}'s {other}: one is a part of the other");
    Some(Code::NameConflict.because(text))
}

/// Detects the same series in two groups: a label of one group may be a label of a metric in the other.
fn duplicate_series((state, role): Target<'_>, group: &ListedGroup, name: &str) -> Option<Reason> {
    let exposed = state.exposed.get(name)?;
    let replaced = state.groups.get(&group.labels).and_then(|theirs| theirs.families.get(name));
    let family = group.families.get(name)?;
    let double = family.metrics.iter().any(|series| {
        exposed.metrics.contains_key(series)
            && !replaced.is_some_and(|family| family.metrics.contains(series))
    });
    let text = || format!("the {role} already has a series of {name} in another group");
    double.then(|| Code::SeriesConflict.because(text()))
}
