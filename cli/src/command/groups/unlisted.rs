//! Finds the group of a metric that the API of its gateway does not show.

use pushring_router::is_legacy_name;

use super::culprits::{Blamed, Detailed, is_own, text_of, without_empty_instance};
use super::scrape_error::{Bytes, ScrapeError};
use crate::reason::Reason;

/// Labels that Prometheus adds to the parts of a metric. A client has to write them itself, so they are no grouping labels.
const PARTS: [&[u8]; 2] = [b"le", b"quantile"];

/// Returns the group with the most labels among those that the metric has, or a guess if the API cannot be read.
pub(super) fn blame(
    error: &ScrapeError,
    metric: &Bytes,
    groups: &[Detailed],
    reason: Reason,
) -> Option<Blamed> {
    let blamed = |labels, reason| Blamed { labels, family: error.family.clone(), reason, is_exposed: false };
    if let Some(labels) = closest(error, metric, groups) {
        return Some(blamed(labels, reason));
    }
    if is_own(&error.family) {
        // The gateway's own gauges have exactly the grouping labels.
        return Some(blamed(without_empty_instance(metric), reason));
    }
    // The API breaks off at a metric that has not the type of its family. To delete a group that does not exist has no
    // effect.
    let text = format!("{reason}; its grouping labels are a guess, because the API cannot be read");
    let may_group = |name: &[u8]| is_legacy_name(name) && !PARTS.contains(&name);
    let labels = metric.clone().into_iter().filter(|(name, _)| may_group(name)).collect();
    groups.is_empty().then(|| Blamed { is_exposed: true, ..blamed(labels, reason.code.because(text)) })
}

/// A client can add labels to the gateway's own gauge, and a label of a metric can appear twice.
fn closest(error: &ScrapeError, metric: &Bytes, groups: &[Detailed]) -> Option<Bytes> {
    let text = text_of(metric);
    let has = |(name, value): (&String, &String)| text.get(name).is_some_and(|(text, ..)| text == value);
    let holds = |group: &&Detailed| is_own(&error.family) || group.families.contains_key(&error.family);
    let all = groups.iter().filter(holds);
    let all = all.filter(|group| !group.labels.is_empty() && group.labels.iter().all(has));
    let labels = &all.max_by_key(|group| group.labels.len())?.labels;
    let exact = labels.keys().filter_map(|name| text.get(name));
    Some(exact.map(|(_, name, value)| ((*name).clone(), (*value).clone())).collect())
}
