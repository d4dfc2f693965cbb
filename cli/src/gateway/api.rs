//! The groups of a gateway as `/api/v1/metrics` tells them.
//!
//! That answer is a list of groups, each an object of families beside two fields of its own, `labels` and
//! `last_push_successful`, which a family of the same name replaces. So what is read here is checked, and a group
//! that cannot be told for sure has a [`StoredGroup::ambiguity`].

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The gateway's own family of the time of the last push that it took.
pub(crate) const PUSH_TIME: &str = "push_time_seconds";
/// The gateway's own family of the time of the last push that it refused; 0 when there was none.
pub(crate) const PUSH_FAILED: &str = "push_failure_time_seconds";

/// What stands for bytes that are not UTF-8: what was there cannot be told.
const REPLACED: char = '\u{FFFD}';

/// Names and values of the labels of a group or a series.
pub(crate) type Labels = BTreeMap<String, String>;

/// One group on one gateway; `M` is what is kept of the metrics of a family.
#[derive(Clone, Debug)]
pub(crate) struct StoredGroup<M> {
    /// Its labels, `job` among them; empty when they could not be read.
    pub(crate) labels: Labels,
    /// The families that clients pushed, by name: without the gateway's own two.
    pub(crate) families: BTreeMap<String, Family<M>>,
    /// The last push that was taken. `None` when the gateway does not tell.
    pub(crate) pushed: Option<Push>,
    /// The last push that was refused.
    pub(crate) refused: Option<Push>,
    /// Why nothing may be concluded from what stands here.
    pub(crate) ambiguity: Option<String>,
}

/// A family of metrics within a group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Family<M> {
    /// When it was pushed last, by the gateway's clock.
    pub(crate) time_stamp: Timestamp,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The text beside it, as this group's last push had it; the exposition has one for all groups.
    #[serde(default)]
    pub(crate) help: Option<String>,
    /// As `M` reads them.
    pub(crate) metrics: M,
}

/// One of the gateway's own two gauges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Push {
    /// When the gateway set it, by its clock.
    pub(crate) time_stamp: Timestamp,
    /// Seconds since 1970; 0: never.
    pub(crate) seconds: f64,
}

impl<M> StoredGroup<M> {
    /// Whether no push to it was ever taken: the gateway keeps a group for a push that it refused.
    pub(crate) fn is_stub(&self) -> bool {
        self.families.is_empty() && self.pushed.is_some_and(|push| push.seconds == 0.0)
    }

    /// When it was pushed last, by the gateway's clock; `None` when that cannot be told, or never.
    pub(crate) fn last_push(&self) -> Option<Timestamp> {
        self.pushed.filter(|push| push.seconds > 0.0).map(|push| push.time_stamp)
    }

    /// When a push to it was refused last.
    pub(crate) fn last_refusal(&self) -> Option<Timestamp> {
        self.refused.filter(|push| push.seconds > 0.0).map(|push| push.time_stamp)
    }
}

/// A client can push a family of that name and another type.
#[derive(Deserialize)]
struct Gauge {
    value: Option<String>,
}

/// `last_push_successful`: the API's own field, or a family of that name.
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
            refused: None,
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
                PUSH_FAILED => group.refused = push(&map.next_value()?),
                _ => {
                    let family = map.next_value()?;
                    if name.contains(REPLACED) {
                        group.ambiguity = Some(format!("the name of its family {name:?} is not UTF-8"));
                    }
                    group.families.insert(name, family);
                }
            }
        }
        match labels {
            Some(labels) => group.labels = labels,
            None => {
                group.ambiguity = Some("its labels cannot be told: it has a family named `labels`".to_owned())
            }
        }
        if !group.labels.contains_key("job") && group.ambiguity.is_none() {
            group.ambiguity = Some("it has no job".to_owned());
        }
        if group.labels.iter().any(|(name, value)| name.contains(REPLACED) || value.contains(REPLACED)) {
            group.ambiguity = Some("one of its labels is not UTF-8".to_owned());
        }
        Ok(group)
    }
}

/// A plain object of strings; anything else is the family of that name.
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
    fn an_ordinary_group() {
        let group = group(&format!(
            r#"{{"labels":{{"job":"j"}},"last_push_successful":true,"m":{{"time_stamp":"2026-11-21T15:34:28.5+01:00","type":"COUNTER","help":"h","metrics":[{{"value":"1"}}]}},{OWN}}}"#
        ));
        assert_eq!(group.ambiguity, None);
        assert_eq!(group.labels, Labels::from([("job".to_owned(), "j".to_owned())]));
        assert_eq!(group.families.len(), 1);
        assert_eq!(group.families["m"].time_stamp, "2026-11-21T14:34:28.5Z".parse().unwrap());
        assert_eq!(group.last_push(), Some("2026-11-21T14:34:28.554921684Z".parse().unwrap()));
        assert_eq!((group.last_refusal(), group.is_stub()), (None, false));
    }

    #[test]
    fn families_named_as_the_fields_of_the_api() {
        let family = r#"{"time_stamp":"2026-11-21T14:34:28Z","type":"GAUGE","metrics":[{"labels":{"job":"j"},"value":"1"}]}"#;
        let labels = group(&format!(r#"{{"labels":{family},"last_push_successful":true,{OWN}}}"#));
        assert!(labels.ambiguity.unwrap().contains("`labels`"));
        let successful =
            group(&format!(r#"{{"labels":{{"job":"j"}},"last_push_successful":{family},{OWN}}}"#));
        assert_eq!(successful.ambiguity, None);
        assert!(successful.families.contains_key("last_push_successful"));
    }

    #[test]
    fn what_is_not_utf8_is_a_doubt() {
        let value =
            group(&format!(r#"{{"labels":{{"job":"j","a":"\ufffd"}},"last_push_successful":true,{OWN}}}"#));
        assert!(value.ambiguity.unwrap().contains("not UTF-8"));
        let nameless = group(&format!(r#"{{"labels":{{"a":"b"}},"last_push_successful":true,{OWN}}}"#));
        assert_eq!(nameless.ambiguity.unwrap(), "it has no job");
    }
}
