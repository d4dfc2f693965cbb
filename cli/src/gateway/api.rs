//! The groups of a gateway, as `/api/v1/metrics` lists them.
//!
//! The response is a list of groups. Each is an object with the fields `labels` and `last_push_successful` and one field
//! for each family; a family with either name replaces the field. Such a response is ambiguous, so it is checked here:
//! see [`StoredGroup::ambiguity`].

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::reason::{Code, Reason};

/// The gateway's own metric for the time of the last accepted push.
pub(crate) const PUSH_TIME: &str = "push_time_seconds";
/// The gateway's own metric for the time of the last rejected push; 0 if there was none.
pub(crate) const PUSH_FAILED: &str = "push_failure_time_seconds";

/// Reason for an unknown time of the last push.
pub(crate) const NO_PUSH_TIME: &str = "the gateway does not report the time of the last push";

/// Replaces bytes that are not UTF-8 in the response; the original bytes are lost.
const REPLACED: char = '\u{FFFD}';

/// Names and values of the labels of a group or a series.
pub(crate) type Labels = BTreeMap<String, String>;

/// One group on one gateway; `M` is the form in which the metrics of a family are kept.
#[derive(Clone, Debug)]
pub(crate) struct StoredGroup<M> {
    /// The group's labels, including `job`; empty if they could not be read.
    pub(crate) labels: Labels,
    /// The families that clients pushed, by name, without the gateway's own two.
    pub(crate) families: BTreeMap<String, Family<M>>,
    /// The last accepted push. `None` if the gateway does not report it.
    pub(crate) pushed: Option<Push>,
    /// The last rejected push.
    pub(crate) rejected: Option<Push>,
    /// The `# HELP` text of [`PUSH_FAILED`], which a client can replace.
    pub(crate) rejected_help: Option<String>,
    /// The reason why this entry cannot be trusted.
    pub(crate) ambiguity: Option<Reason>,
}

/// A family of metrics within a group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Family<M> {
    /// Time of its last push, by the gateway's clock.
    pub(crate) time_stamp: Timestamp,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The `# HELP` text of this group's last push; the exposition has one for all groups.
    #[serde(default)]
    pub(crate) help: Option<String>,
    pub(crate) metrics: M,
}

/// One of the gateway's own two gauges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Push {
    /// Time at which the gateway set the gauge, by its clock.
    pub(crate) time_stamp: Timestamp,
    /// Value of the gauge: seconds since 1970, 0 for never.
    pub(crate) seconds: f64,
}

impl<M> StoredGroup<M> {
    /// Returns whether no push to the group was ever accepted. A gateway keeps a group even for a rejected push.
    pub(crate) fn is_stub(&self) -> bool {
        self.families.is_empty() && self.pushed.is_some_and(|push| push.seconds == 0.0)
    }

    /// Time of the last accepted push, by the gateway's clock; `None` if it is unknown or there was none.
    pub(crate) fn last_push(&self) -> Option<Timestamp> {
        self.pushed.filter(|push| push.seconds > 0.0).map(|push| push.time_stamp)
    }

    /// Time of the last rejected push, by the gateway's clock.
    pub(crate) fn last_rejection(&self) -> Option<Timestamp> {
        self.rejected.filter(|push| push.seconds > 0.0).map(|push| push.time_stamp)
    }
}

/// The value is optional: a client can push a family with this name and another type.
#[derive(Deserialize)]
struct Gauge {
    value: Option<String>,
}

/// `last_push_successful`: the API's own field, or a family with this name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Successful<M> {
    Own(#[allow(dead_code)] bool),
    Family(Family<M>),
}

impl<'de, M: Deserialize<'de>> Deserialize<'de> for StoredGroup<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(GroupVisitor(PhantomData))
    }
}

struct GroupVisitor<M>(PhantomData<M>);

impl<'de, M: Deserialize<'de>> Visitor<'de> for GroupVisitor<M> {
    type Value = StoredGroup<M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a group")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StoredGroup<M>, A::Error> {
        let mut labels = None;
        let mut group = StoredGroup {
            labels: Labels::new(),
            families: BTreeMap::new(),
            pushed: None,
            rejected: None,
            rejected_help: None,
            ambiguity: None,
        };
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "labels" => labels = plain(map.next_value()?),
                "last_push_successful" => {
                    if let Successful::Family(family) = map.next_value()? {
                        group.families.insert(name, family);
                    }
                }
                PUSH_TIME => group.pushed = push(&map.next_value()?),
                PUSH_FAILED => {
                    let family = map.next_value()?;
                    group.rejected = push(&family);
                    group.rejected_help = family.help;
                }
                _ => {
                    let family = map.next_value()?;
                    if name.contains(REPLACED) {
                        group.ambiguity =
                            Some(Code::NotUtf8.because(format!("the family name {name:?} is not UTF-8")));
                    }
                    group.families.insert(name, family);
                }
            }
        }
        match labels {
            Some(labels) => group.labels = labels,
            None => {
                let text = "its labels are unknown: it has a family named `labels`";
                group.ambiguity = Some(Code::UnknownLabels.because(text));
            }
        }
        if !group.labels.contains_key("job") && group.ambiguity.is_none() {
            group.ambiguity = Some(Code::NoJob.because("it has no job"));
        }
        if group.labels.iter().any(|(name, value)| name.contains(REPLACED) || value.contains(REPLACED)) {
            group.ambiguity = Some(Code::NotUtf8.because("one of its labels is not UTF-8"));
        }
        Ok(group)
    }
}

/// Accepts a plain object of strings; anything else is a family named `labels`.
fn plain(labels: Value) -> Option<Labels> {
    let Value::Object(labels) = labels else { return None };
    labels.into_iter().map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}

fn push(family: &Family<Vec<Gauge>>) -> Option<Push> {
    let seconds = family.metrics.first()?.value.as_ref()?.parse().ok()?;
    Some(Push { time_stamp: family.time_stamp, seconds })
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    fn group(json: &str) -> StoredGroup<IgnoredAny> {
        serde_json::from_str(json).unwrap()
    }

    const OWN: &str = r#""push_time_seconds":{"time_stamp":"2026-11-21T14:34:28.554921684Z","type":"GAUGE","metrics":[{"labels":{"instance":"","job":"j"},"value":"1.7637356685549216e+09"}]},
        "push_failure_time_seconds":{"time_stamp":"2026-11-21T14:34:28.554921684Z","type":"GAUGE","metrics":[{"labels":{},"value":"0"}]}"#;

    #[test]
    fn reads_an_ordinary_group() {
        let group = group(&format!(
            r#"{{"labels":{{"job":"j"}},"last_push_successful":true,"m":{{"time_stamp":"2026-11-21T15:34:28.5+01:00","type":"COUNTER","help":"h","metrics":[{{"value":"1"}}]}},{OWN}}}"#
        ));
        assert_eq!(group.ambiguity, None);
        assert_eq!(group.labels, Labels::from([("job".to_owned(), "j".to_owned())]));
        assert_eq!(group.families.len(), 1);
        assert_eq!(group.families["m"].time_stamp, "2026-11-21T14:34:28.5Z".parse().unwrap());
        assert_eq!(group.last_push(), Some("2026-11-21T14:34:28.554921684Z".parse().unwrap()));
        assert_eq!((group.last_rejection(), group.is_stub()), (None, false));
    }

    #[test]
    fn detects_families_named_like_fields_of_the_api() {
        let family = r#"{"time_stamp":"2026-11-21T14:34:28Z","type":"GAUGE","metrics":[{"labels":{"job":"j"},"value":"1"}]}"#;
        let labels = group(&format!(r#"{{"labels":{family},"last_push_successful":true,{OWN}}}"#));
        assert_eq!(labels.ambiguity.unwrap().code, Code::UnknownLabels);
        let successful =
            group(&format!(r#"{{"labels":{{"job":"j"}},"last_push_successful":{family},{OWN}}}"#));
        assert_eq!(successful.ambiguity, None);
        assert!(successful.families.contains_key("last_push_successful"));
    }

    #[test]
    fn rejects_labels_that_are_not_utf8() {
        let value =
            group(&format!(r#"{{"labels":{{"job":"j","a":"\ufffd"}},"last_push_successful":true,{OWN}}}"#));
        assert_eq!(value.ambiguity.unwrap().code, Code::NotUtf8);
        let nameless = group(&format!(r#"{{"labels":{{"a":"b"}},"last_push_successful":true,{OWN}}}"#));
        assert_eq!(nameless.ambiguity.unwrap().code, Code::NoJob);
    }
}
