//! Finds the groups to blame if families of several groups clash: one name with two types, or the name of a series of
//! another family. A gateway does not expose a family without metrics, but it compares its name and type with others, so
//! such a family can make it reject pushes. It never outvotes a family with metrics: the groups with data stay.

use std::collections::BTreeMap;

use super::culprits::{Detailed, has_labels};
use super::scrape_error::{ScrapeError, string};
use crate::gateway::family_types::class;
use crate::reason::{Code, Reason};

/// Begin of the names of the gateway's own metrics that it has only after the first request.
const LATE: &str = "pushgateway_http_";

/// Returns the groups that have a family with another type than most groups with metrics of it. If two types are equally
/// frequent, that is `first`, the type that the gateway visited first.
pub(super) fn of_rarer_type<'g>(
    family: &str,
    first: Option<&str>,
    groups: &'g [Detailed],
) -> Vec<&'g Detailed> {
    let kind = |group: &'g Detailed| group.families.get(family).map(|family| class(&family.kind));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for group in groups.iter().filter(|group| has_metrics(group, family)) {
        *counts.entry(kind(group).unwrap_or_default()).or_default() += 1;
    }
    // A gateway never names a gauge histogram as the first.
    let rank = |kind: &str| (Some(kind) == first, kind != "HISTOGRAM");
    let usual = counts.into_iter().max_by_key(|(kind, count)| (*count, rank(kind)));
    let Some((usual, _)) = usual else { return Vec::new() };
    groups_with(family, groups).into_iter().filter(|group| kind(group) != Some(usual)).collect()
}

/// Returns why a group of [`of_rarer_type`] is to blame.
pub(super) fn type_reason(family: &str, group: &Detailed) -> Reason {
    let text = "most groups with metrics of this family have another type";
    let without = if has_metrics(group, family) { "" } else { "; this group has it without metrics" };
    Code::TypeConflict.because(format!("{family}: {text}{without}"))
}

/// Returns the groups to blame for an error about a whole family.
pub(super) fn of_family<'g>(error: &ScrapeError, groups: &'g [Detailed]) -> Vec<&'g Detailed> {
    if error.reason.starts_with("collides")
        && let Some(other) = error.reason.rsplit('"').nth(1)
    {
        let is_shorter = error.family.len() < other.len();
        let (whole, part) = if is_shorter { (&*error.family, other) } else { (other, &*error.family) };
        return of_collision(whole, part, groups);
    }
    let all = groups_with(&error.family, groups);
    let differing: Vec<_> = all.iter().copied().filter(|group| differs_from_own(error, group)).collect();
    if differing.is_empty() { all } else { differing }
}

/// Returns the groups of the rarer of two families, one of which has the name of a series of the other. Families of the
/// gateway itself are in no group.
pub(super) fn of_collision<'g>(whole: &str, part: &str, groups: &'g [Detailed]) -> Vec<&'g Detailed> {
    let is_whole = |group: &&Detailed| ["HISTOGRAM", "SUMMARY"].contains(&&*group.families[whole].kind);
    let wholes: Vec<_> = groups_with(whole, groups).into_iter().filter(is_whole).collect();
    let parts = groups_with(part, groups);
    let weight = |family: &str, groups: &[&Detailed]| {
        (groups.iter().filter(|group| has_metrics(group, family)).count(), groups.len())
    };
    if parts.is_empty() || !wholes.is_empty() && weight(whole, &wholes) < weight(part, &parts) {
        wholes
    } else {
        parts
    }
}

/// Returns whether a family of a group has another type or `# HELP` text than the gateway's own family.
fn differs_from_own(error: &ScrapeError, group: &Detailed) -> bool {
    let Some((found, expected)) = error.reason.rsplit_once(" should have ") else { return false };
    let family = &group.families[&error.family];
    if found.starts_with("has type ") {
        return family.kind != expected;
    }
    let own = string(expected).map(|(help, _)| help);
    own.is_some_and(|own| family.help.as_deref().unwrap_or_default().as_bytes() != own)
}

/// Returns whether a group has a family with another `# HELP` text or type than the gateway itself. The gateway rejects such
/// a family, unless it visits another group with it before. It corrects the `# HELP` texts of all families that it has from
/// its start, so only the others count.
pub(super) fn is_unlike_own(name: &str, (help, kind): &(String, &str), group: &Detailed) -> bool {
    group.families.get(name).is_some_and(|family| {
        let has_help = family.help.as_deref().unwrap_or_default() == help;
        family.kind != *kind || name.starts_with(LATE) && !has_help
    })
}

/// Returns the groups with known labels that have that family.
fn groups_with<'g>(family: &str, groups: &'g [Detailed]) -> Vec<&'g Detailed> {
    groups.iter().filter(|group| has_labels(group) && group.families.contains_key(family)).collect()
}

fn has_metrics(group: &Detailed, family: &str) -> bool {
    group.families.get(family).is_some_and(|family| !family.metrics.is_empty())
}
