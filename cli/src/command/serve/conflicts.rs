//! Families and series that do not fit together. One Pushgateway rejects the later push; several gateways accept both. The
//! part that most groups agree on stays, so that Prometheus accepts the whole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use prost::bytes::Bytes;
use rayon::prelude::*;

use super::escape::is_legacy;
use super::metric;
use super::own;
use super::view::{Conflict, GroupView};
use crate::command::groups::exposed;
use crate::gateway::family_types::{class, collision};
use crate::reason::{Code, Reason};

/// A family of a group: indices of both.
type Place = (usize, usize);

/// Finds the conflicts and marks the families; series that repeat are removed.
pub(super) fn find(groups: &mut [GroupView]) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    let mut by_name: BTreeMap<Arc<str>, Vec<Place>> = BTreeMap::new();
    for (group, view) in groups.iter_mut().enumerate() {
        let is_unfit = is_unfit(view);
        for family in view.families.iter_mut() {
            family.conflicts = is_unfit;
        }
        for (index, family) in
            view.families.iter().enumerate().filter(|(_, family)| !is_unfit && !family.metrics.is_empty())
        {
            by_name.entry(family.name.clone()).or_default().push((group, index));
        }
    }
    let mut kept: BTreeMap<&str, &'static str> = own::KINDS.into_iter().collect();
    let mut families = Vec::new();
    for (name, mut places) in by_name {
        let kind = usual_kind(groups, &places, kept.get(&*name).copied());
        let others =
            take(&mut places, |(group, family)| class(groups[group].families[family].kind) != class(kind));
        if !others.is_empty() {
            let text = format!("{name}: most groups have it as {kind}, and others with another type");
            conflicts.push(leave_out(groups, &name, Code::TypeConflict.because(text), &others));
        }
        families.push((name, kind, places));
    }
    // The families of most groups come first, and stay.
    families.sort_by(|a, b| b.2.len().cmp(&a.2.len()).then_with(|| a.0.cmp(&b.0)));
    let mut fitting = Vec::new();
    for (name, kind, places) in &families {
        if let Some(other) = collision(name, kind, |name| kept.get(name).copied()) {
            let text = format!("{name}: its name is that of a series of {other}");
            conflicts.push(leave_out(groups, name, Code::NameConflict.because(text), places));
            continue;
        }
        kept.insert(name, kind);
        fitting.push((name, places));
    }
    let misfits: Vec<_> =
        fitting.par_iter().map(|(name, places)| Misfits::find(groups, name, places)).collect();
    for ((name, _), misfits) in fitting.iter().zip(misfits) {
        conflicts.extend(misfits.remove(groups, name));
    }
    conflicts.sort_by(|a, b| a.family.cmp(&b.family).then_with(|| a.reason.code.cmp(&b.reason.code)));
    conflicts
}

/// Returns whether a group of a poisoned gateway cannot be shown: it is why its gateway is poisoned.
fn is_unfit(group: &GroupView) -> bool {
    group.doubt.as_ref().is_some_and(|doubt| doubt.code == Code::NotUtf8)
        || group.labels.keys().any(|name| name.starts_with("__"))
}

/// Returns the type of most groups; of those that are equally frequent, that of the last push.
fn usual_kind(groups: &[GroupView], places: &[Place], own: Option<&'static str>) -> &'static str {
    if let Some(own) = own {
        return own;
    }
    let mut kinds = BTreeMap::new();
    for &(group, family) in places {
        let family = &groups[group].families[family];
        let (count, last) = kinds.entry(family.kind).or_insert((0_usize, family.time_stamp));
        (*count, *last) = (*count + 1, family.time_stamp.max(*last));
    }
    kinds.into_iter().max_by_key(|(_, rank)| *rank).map(|(kind, _)| kind).unwrap_or_default()
}

/// Metrics of one family that are left out.
#[derive(Default)]
struct Misfits {
    /// Indices of metrics, ascending, by family.
    removed: Vec<(Place, Vec<usize>)>,
    /// Families with metrics that make Prometheus reject the whole answer, although a Pushgateway accepts them.
    rejected: Vec<Place>,
    /// The first reason for that.
    reason: Option<Reason>,
    /// Families with metrics that another family has, too; that of the last push stays.
    repeated: Vec<Place>,
}

impl Misfits {
    fn find(groups: &[GroupView], name: &str, places: &[Place]) -> Self {
        let mut misfits = Self::default();
        let mut places = places.to_vec();
        places.sort_by_key(|&(group, family)| Reverse(groups[group].families[family].time_stamp));
        let mut seen = (places.len() > 1).then(HashSet::new);
        for place in places {
            let family = &groups[place.0].families[place.1];
            let mut removed = Vec::new();
            for (index, raw) in family.metrics.iter().enumerate() {
                if let Some(reason) = rejection(name, family.kind, raw) {
                    misfits.rejected.push(place);
                    misfits.reason.get_or_insert(reason);
                } else if let Some(seen) = &mut seen
                    && !seen
                        .insert(metric::labels(raw).map(|labels| metric::key_of(&labels)).unwrap_or_default())
                {
                    misfits.repeated.push(place);
                } else {
                    continue;
                }
                removed.push(index);
            }
            if !removed.is_empty() {
                misfits.removed.push((place, removed));
            }
        }
        misfits.rejected.dedup();
        misfits.repeated.dedup();
        misfits
    }

    fn remove(self, groups: &mut [GroupView], name: &str) -> Vec<Conflict> {
        for ((group, family), removed) in self.removed {
            let family = &mut groups[group].families[family];
            let mut index = 0;
            family.metrics.retain(|_| {
                index += 1;
                removed.binary_search(&(index - 1)).is_err()
            });
            family.conflicts = family.metrics.is_empty();
        }
        let rejected = self
            .reason
            .map(|reason| conflict(name, reason.code.because(format!("{name}: {reason}")), &self.rejected));
        let reason = Code::SeriesConflict.because(format!("{name}: several groups have the same series"));
        let repeated = (!self.repeated.is_empty()).then(|| conflict(name, reason, &self.repeated));
        rejected.into_iter().chain(repeated).collect()
    }
}

/// Returns why Prometheus rejects an answer with this metric. Most metrics need no complete check.
fn rejection(name: &str, kind: &str, raw: &Bytes) -> Option<Reason> {
    let is_simple = ["COUNTER", "GAUGE", "UNTYPED"].contains(&kind) && is_legacy(name);
    let is_plain = |label: &metric::Label| {
        std::str::from_utf8(label.name()).is_ok_and(|name| is_legacy(name) && !name.contains(':'))
    };
    if is_simple && metric::labels(raw).is_ok_and(|labels| labels.iter().all(is_plain)) {
        return None;
    }
    exposed::rejection(name, kind, raw)
}

fn leave_out(groups: &mut [GroupView], name: &str, reason: Reason, places: &[Place]) -> Conflict {
    for &(group, family) in places {
        groups[group].families[family].conflicts = true;
    }
    conflict(name, reason, places)
}

fn conflict(name: &str, reason: Reason, places: &[Place]) -> Conflict {
    let groups = places.iter().map(|(group, _)| *group).take(Conflict::MOST).collect();
    Conflict { family: name.to_owned(), reason, groups, left_out: places.len() }
}

/// Moves the places for which `f` is true out of the list.
fn take(places: &mut Vec<Place>, f: impl Fn(Place) -> bool) -> Vec<Place> {
    let (taken, left) = places.iter().copied().partition(|place| f(*place));
    *places = left;
    taken
}
