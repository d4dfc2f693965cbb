//! Finds the groups that make a gateway answer 500. Its errors contain the exact bytes of a metric's labels;
//! its API shows which of these labels are grouping labels.

use std::collections::{BTreeMap, HashSet};

use pushring_router::{is_legacy_name, labels_to_path};
use serde::Deserialize;

use super::scrape_error::{Bytes, ScrapeError};
use super::{clashes, collision, unlisted};
use crate::gateway::api::{self, Labels, PUSH_FAILED, PUSH_TIME, StoredGroup};
use crate::memory;
use crate::reason::Reason;

/// A group that causes an error, with the exact bytes of its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blamed {
    pub(super) labels: Bytes,
    /// The family with the error; U+FFFD replaces each byte that is not UTF-8.
    pub(super) family: String,
    pub(crate) reason: Reason,
    /// Whether the labels are those of the exposition, in which every group has an `instance`.
    pub(super) is_exposed: bool,
}

impl Blamed {
    /// Returns the labels as text, with each byte that is not UTF-8 replaced.
    pub(crate) fn labels(&self) -> Labels {
        self.labels.iter().map(|(name, value)| (go_text(name), go_text(value))).collect()
    }

    /// Returns the push path of the group; two if it is unknown whether it has an empty `instance`.
    pub(crate) fn paths(&self, prefix: &str) -> Vec<String> {
        let without = without_empty_instance(&self.labels);
        let both = self.is_exposed && without != self.labels;
        let first = both.then(|| path_of(prefix, &without));
        first.into_iter().chain([path_of(prefix, &self.labels)]).flatten().collect()
    }
}

/// Uses UTF-8 names if a label needs them: then the gateway that stores it runs in that mode.
fn path_of(prefix: &str, labels: &Bytes) -> Option<String> {
    let utf8_names = !labels.keys().all(|name| is_legacy_name(name) && !name.starts_with(b"__"));
    let labels = labels.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    labels_to_path(prefix, utf8_names, labels)
}

/// A metric of the API, with its grouping labels.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Metric")]
pub(crate) struct Series {
    pub(super) labels: Labels,
}

#[derive(Deserialize)]
struct Metric {
    #[serde(default, deserialize_with = "api::labels")]
    labels: Labels,
}

impl TryFrom<Metric> for Series {
    type Error = memory::Full;

    fn try_from(metric: Metric) -> Result<Self, memory::Full> {
        memory::charge(2 * size_of::<Self>())?;
        Ok(Self { labels: metric.labels })
    }
}

/// A group with the labels of its metrics.
pub(crate) type Detailed = StoredGroup<Vec<Series>>;

/// Returns the groups to delete, each once, in the order of the errors.
pub(super) fn blame(errors: &[ScrapeError], groups: &[Detailed]) -> Vec<Blamed> {
    let mut known = HashSet::new();
    let all = errors.iter().flat_map(|error| culprits(error, groups));
    all.filter(|blamed| known.insert(blamed.labels.clone())).collect()
}

fn culprits(error: &ScrapeError, groups: &[Detailed]) -> Vec<Blamed> {
    let reason = error.code().because(format!("{} {}", error.family, error.reason));
    let blamed = |labels, reason: &Reason| Blamed {
        labels,
        family: error.family.clone(),
        reason: reason.clone(),
        is_exposed: false,
    };
    let blame_all = |groups: &[&Detailed]| -> Vec<Blamed> {
        groups.iter().map(|group| blamed(bytes(&group.labels), &reason)).collect()
    };
    let Some(metric) = &error.labels else {
        return blame_all(&clashes::of_family(error, groups));
    };
    if let Some(kind) = error.reason.strip_prefix("is not a ") {
        let unusual = clashes::of_rarer_type(&error.family, Some(kind), groups);
        // The gateway's own metrics are gauges: this error names a victim, not the group that changed the type.
        if !unusual.is_empty() || is_own(&error.family) && kind != "GAUGE" {
            let with_reason =
                |group: &&Detailed| blamed(bytes(&group.labels), &clashes::type_reason(&error.family, group));
            return unusual.iter().map(with_reason).collect();
        }
    }
    let text = text_of(metric);
    let mut suspects: Vec<(&Detailed, Bytes)> =
        groups.iter().filter_map(|group| Some((group, exact_labels(group, &error.family, &text)?))).collect();
    if suspects.is_empty() {
        return unlisted::blame(error, metric, groups, reason).into_iter().collect();
    }
    let partners = match error.reason.contains("collected before") {
        true => collision::partners(&error.family, metric, groups),
        false => Vec::new(),
    };
    if !partners.is_empty() {
        return collision::blame(&error.family, suspects, partners);
    }
    if error.reason.contains("collected before") && suspects.len() > 1 {
        // Keep the group that was pushed last, but no group with an empty label next to one without; a stub, which holds no
        // data, is never kept.
        suspects.sort_by_key(|(group, _)| {
            let has_empty = group.labels.values().any(String::is_empty);
            (group.last_push().is_some(), !has_empty, group.last_push())
        });
        let kept = suspects.pop().map(|(group, _)| crate::output::group(&group.labels)).unwrap_or_default();
        let reason = reason.code.because(format!("{reason}, as in {kept}"));
        return suspects.into_iter().map(|(_, labels)| blamed(labels, &reason)).collect();
    }
    suspects.into_iter().map(|(_, labels)| blamed(labels, &reason)).collect()
}

/// Returns whether the labels are known. The names of the families need not be.
pub(super) fn has_labels(group: &Detailed) -> bool {
    let is_known = |text: &String| !text.contains('\u{fffd}');
    group.labels.contains_key("job")
        && group.labels.iter().flat_map(|(name, value)| [name, value]).all(is_known)
}

/// Labels of a metric as the API writes them, with their bytes.
pub(super) type Text<'m> = BTreeMap<String, (String, &'m Vec<u8>, &'m Vec<u8>)>;

pub(super) fn text_of(metric: &Bytes) -> Text<'_> {
    metric.iter().map(|(name, value)| (go_text(name), (go_text(value), name, value))).collect()
}

/// Returns the exact bytes of the labels of `group`, if it has that metric.
pub(super) fn exact_labels(group: &Detailed, family: &str, metric: &Text<'_>) -> Option<Bytes> {
    let mut exact = Bytes::new();
    for (name, value) in &group.labels {
        let (text, name, bytes) = metric.get(name)?;
        if text != value {
            return None;
        }
        exact.insert((*name).clone(), (*bytes).clone());
    }
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
pub(super) fn without_empty_instance(labels: &Bytes) -> Bytes {
    let mut labels = labels.clone();
    if labels.get(&b"instance"[..]).is_some_and(Vec::is_empty) {
        labels.remove(&b"instance"[..]);
    }
    labels
}

pub(super) fn is_own(family: &str) -> bool {
    family == PUSH_TIME || family == PUSH_FAILED
}

pub(super) fn bytes(labels: &Labels) -> Bytes {
    labels.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())).collect()
}

/// Converts bytes as Go does for JSON: U+FFFD for each byte that is not UTF-8, where Rust writes fewer.
pub(super) fn go_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(&"\u{fffd}".repeat(chunk.invalid().len()));
    }
    text
}

/// Cases that depend on the order in which a gateway visits its groups; the other tests use real gateways.
#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A group with one metric that has no other labels.
    fn group(job: &str, family: &str, kind: &str) -> Detailed {
        let stamp = "2026-11-21T10:00:00Z";
        let metrics = json!([{"labels": {"instance": "", "job": job}, "value": "1"}]);
        let family_of = |kind: &str| json!({"time_stamp": stamp, "type": kind, "metrics": metrics});
        let mut json = json!({"labels": {"job": job}, "last_push_successful": true});
        for own in [PUSH_TIME, PUSH_FAILED] {
            json[own] = family_of("GAUGE");
        }
        json[family] = family_of(kind);
        serde_json::from_value(json).unwrap()
    }

    fn error(family: &str, job: Option<&str>, reason: &str) -> ScrapeError {
        let labels = job.map(|job| {
            Bytes::from([(b"instance".to_vec(), Vec::new()), (b"job".to_vec(), job.as_bytes().to_vec())])
        });
        ScrapeError { family: family.to_owned(), labels, reason: reason.to_owned() }
    }

    fn jobs(errors: &[ScrapeError], groups: &[Detailed]) -> Vec<String> {
        blame(errors, groups).iter().map(|blamed| blamed.labels()["job"].clone()).collect()
    }

    #[test]
    fn blames_rarer_type_whichever_the_gateway_names() {
        let groups = [group("a", "m", "GAUGE"), group("b", "m", "GAUGE"), group("odd", "m", "COUNTER")];
        let named = ["a", "b"].map(|job| error("m", Some(job), "is not a COUNTER"));
        assert_eq!(jobs(&named, &groups), ["odd"]);
        assert_eq!(jobs(&[error("m", Some("odd"), "is not a GAUGE")], &groups), ["odd"]);
        // If both types are equally frequent, the gateway's choice counts.
        assert_eq!(jobs(&named[..1], &groups[1..]), ["b"]);
        assert_eq!(jobs(&[error("m", Some("odd"), "is not a GAUGE")], &groups[1..]), ["odd"]);
    }

    #[test]
    fn blames_rarer_of_two_colliding_families() {
        let groups =
            [group("a", "m", "HISTOGRAM"), group("b", "m", "HISTOGRAM"), group("odd", "m_count", "COUNTER")];
        for (family, other) in [("m", "metric named \"m_count\""), ("m_count", "histogram named \"m\"")] {
            let reason = format!("collides with previously collected {other}");
            assert_eq!(jobs(&[error(family, None, &reason)], &groups), ["odd"], "{family}");
        }
        // The other family belongs to the gateway itself.
        let reason = "collides with previously collected histogram named \"go\"";
        assert_eq!(jobs(&[error("m_count", None, reason)], &groups), ["odd"]);
    }

    #[test]
    fn never_blames_a_gauge_of_the_gateway() {
        let groups = [group("good", "m", "GAUGE"), group("bad", "m", "GAUGE")];
        assert!(jobs(&[error(PUSH_FAILED, Some("good"), "is not a COUNTER")], &groups).is_empty());
        assert_eq!(jobs(&[error(PUSH_FAILED, Some("bad"), "is not a GAUGE")], &groups), ["bad"]);
    }
}
