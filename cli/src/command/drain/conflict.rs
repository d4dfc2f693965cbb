//! Whether the families of a group go together with what its owner holds, by the rules of `Gatherers.Gather` in
//! prometheus/client_golang 1.23, which every scrape of a Pushgateway follows.
//!
//! A gateway with `--push.disable-consistency-check` would take what does not, and then answer 500 to every scrape.
//! Others refuse it, but keep a stub of the group.

use crate::command::drain::gateway_state::{Holding, Told};
use crate::gateway::api::Labels;
use crate::output;

/// Why the owner must not get these families of a group, and what to do. `None`: they go together.
pub(super) fn conflict(owner: &Holding, group: &Told, names: &[String]) -> Option<String> {
    names.iter().find_map(|name| {
        let family = group.families.get(name)?;
        let reason = other_type(owner, group, name, &family.kind)
            .or_else(|| collision(owner, name, &family.kind))
            .or_else(|| twice(owner, group, name))?;
        Some(format!("{reason}; rename or delete one of them, then run again"))
    })
}

/// Groups that differ only in `instance=""` have the same `push_time_seconds`: a gateway holds one of them.
pub(super) fn same_series(owner: &Holding, labels: &Labels) -> Option<String> {
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
fn other_type(owner: &Holding, group: &Told, name: &str, kind: &str) -> Option<String> {
    let replaced = owner.groups.get(&group.labels).and_then(|theirs| theirs.families.get(name));
    let stays = |other: &str, groups: usize| {
        groups > usize::from(replaced.is_some_and(|replaced| replaced.kind == other))
    };
    let mut kinds = owner.kinds.get(name)?.iter();
    let (other, _) = kinds.find(|&(other, &groups)| other != kind && stays(other, groups))?;
    let is_it = |labels: &&Labels, other: &str| {
        **labels != group.labels && owner.groups[*labels].families.get(name).is_some_and(|f| f.kind == other)
    };
    let place = match owner.groups.keys().find(|labels| is_it(labels, other)) {
        Some(labels) => format!("in the owner's group {}", output::group(labels)),
        None => "among the owner's own metrics".to_owned(),
    };
    Some(format!("{name} is {kind} here and {other} {place}"))
}

/// What Prometheus calls the parts of a histogram or a summary is no name of another family.
fn collision(owner: &Holding, name: &str, kind: &str) -> Option<String> {
    let parts = |kind: &str| match kind {
        "HISTOGRAM" => ["_count", "_sum", "_bucket"].as_slice(),
        "SUMMARY" => &["_count", "_sum"],
        _ => &[],
    };
    let has_part =
        parts(kind).iter().map(|part| format!("{name}{part}")).find(|part| owner.kinds.contains_key(part));
    let is_part = || {
        let mut parts_of_any = ["_count", "_sum", "_bucket"].into_iter();
        let (whole, part) = parts_of_any.find_map(|part| Some((name.strip_suffix(part)?, part)))?;
        owner.kinds.get(whole)?.keys().any(|kind| parts(kind).contains(&part)).then(|| whole.to_owned())
    };
    let other = has_part.or_else(is_part)?;
    Some(format!("{name} ({kind}) collides with the owner's {other}: one is a part of the other"))
}

/// The same series in two groups: a grouping label of one is a label of the metric in the other.
fn twice(owner: &Holding, group: &Told, name: &str) -> Option<String> {
    let exposed = owner.exposed.get(name)?;
    let replaced = owner.groups.get(&group.labels).and_then(|theirs| theirs.families.get(name));
    let family = group.families.get(name)?;
    let double = family.metrics.iter().any(|series| {
        exposed.metrics.contains_key(series)
            && !replaced.is_some_and(|family| family.metrics.contains(series))
    });
    double.then(|| format!("the owner has a series of {name} in another group already"))
}
