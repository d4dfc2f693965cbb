//! Which groups make a gateway answer 500: from its complaints, which name the metric to the byte, and from its API,
//! which tells what labels of that metric are those of a group.

use std::collections::{BTreeMap, HashSet};

use pushring_router::labels_to_path;
use serde::Deserialize;

use super::refusal::{Bytes, Refusal};
use crate::gateway::{Group, Labels, PUSH_FAILED, PUSH_TIME};

/// A group that is to blame, with its labels to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blamed {
    labels: Bytes,
    pub(super) reason: String,
}

impl Blamed {
    /// As text, each byte that is not UTF-8 replaced.
    pub(super) fn labels(&self) -> Labels {
        self.labels.iter().map(|(name, value)| (go_text(name), go_text(value))).collect()
    }

    /// Its push path. A name that only the Pushgateway's UTF-8 mode takes is there only where that mode is on.
    pub(super) fn path(&self, prefix: &str) -> String {
        let plain = |name: &[u8]| {
            !name.starts_with(b"__") && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        };
        let utf8_names = !self.labels.keys().all(|name| plain(name));
        let labels = self.labels.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        labels_to_path(prefix, utf8_names, labels).unwrap_or_default()
    }
}

/// A metric of the API: all its labels, those of its group among them.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Series {
    #[serde(default)]
    labels: Labels,
}

/// A group with the labels of its metrics.
pub(super) type Detailed = Group<Vec<Series>>;

/// The groups to delete, each once, in the order of the complaints.
pub(super) fn blame(refusals: &[Refusal], groups: &[Detailed]) -> Vec<Blamed> {
    let mut known = HashSet::new();
    let all = refusals.iter().flat_map(|refusal| culprits(refusal, groups));
    all.filter(|blamed| known.insert(blamed.labels.clone())).collect()
}

fn culprits(refusal: &Refusal, groups: &[Detailed]) -> Vec<Blamed> {
    let reason = format!("{} {}", refusal.family, refusal.reason);
    let blamed = |labels| Blamed { labels, reason: reason.clone() };
    let Some(metric) = &refusal.labels else {
        let having =
            |group: &&Detailed| group.doubt.is_none() && group.families.contains_key(&refusal.family);
        return groups.iter().filter(having).map(|group| blamed(bytes(&group.labels))).collect();
    };
    let text = metric.iter().map(|(name, value)| (go_text(name), (go_text(value), name, value))).collect();
    let within = |group| Some((group, within(group, &refusal.family, &text)?));
    let mut suspects: Vec<(&Detailed, Bytes)> = groups.iter().filter_map(within).collect();
    if suspects.is_empty() {
        // The API tells nothing of it. The gateway's own gauges have the labels of their group and no others.
        return is_own(&refusal.family).then(|| blamed(without_empty_instance(metric))).into_iter().collect();
    }
    if let Some(kind) = refusal.reason.strip_prefix("is not a ") {
        suspects
            .retain(|(group, _)| group.families.get(&refusal.family).is_none_or(|found| found.kind != kind));
    } else if refusal.reason.contains("collected before") && suspects.len() > 1 {
        // All but one have to go: a stub holds nothing, and of others what was pushed last stays.
        suspects.sort_by_key(|(group, _)| group.last_push());
        let kept = suspects.pop().map(|(group, _)| crate::output::group(&group.labels)).unwrap_or_default();
        let reason = format!("{reason}, as in {kept}");
        return suspects.into_iter().map(|(_, labels)| Blamed { labels, reason: reason.clone() }).collect();
    }
    suspects.into_iter().map(|(_, labels)| blamed(labels)).collect()
}

/// Labels of a metric as the API writes them, with the bytes behind.
type Text<'m> = BTreeMap<String, (String, &'m Vec<u8>, &'m Vec<u8>)>;

/// The labels of `group` to the byte, if it has that metric.
fn within(group: &Detailed, family: &str, metric: &Text<'_>) -> Option<Bytes> {
    let exact = |(name, value): (&String, &String)| {
        let (text, name, bytes) = metric.get(name)?;
        (text == value).then(|| ((*name).clone(), (*bytes).clone()))
    };
    let exact: Bytes = group.labels.iter().map(exact).collect::<Option<_>>()?;
    let has = if is_own(family) {
        let added = !group.labels.contains_key("instance")
            && metric.get("instance").is_some_and(|(text, ..)| text.is_empty());
        metric.len() == exact.len() + usize::from(added)
    } else {
        let same =
            |series: &Series| series.labels.iter().eq(metric.iter().map(|(name, text)| (name, &text.0)));
        group.families.get(family).is_some_and(|family| family.metrics.iter().any(same))
    };
    (has && !exact.is_empty()).then_some(exact)
}

/// The gateway adds `instance=""` to every metric without one.
fn without_empty_instance(labels: &Bytes) -> Bytes {
    let is_added = |name: &[u8], value: &[u8]| name == b"instance" && value.is_empty();
    let others = labels.iter().filter(|(name, value)| !is_added(name, value));
    others.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn is_own(family: &str) -> bool {
    family == PUSH_TIME || family == PUSH_FAILED
}

fn bytes(labels: &Labels) -> Bytes {
    labels.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())).collect()
}

/// Bytes as Go writes them into JSON: U+FFFD for each one that is not UTF-8, where Rust writes fewer.
fn go_text(bytes: &[u8]) -> String {
    let chunk = |chunk: std::str::Utf8Chunk<'_>| {
        format!("{}{}", chunk.valid(), "\u{fffd}".repeat(chunk.invalid().len()))
    };
    bytes.utf8_chunks().map(chunk).collect()
}
