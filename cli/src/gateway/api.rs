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
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::memory;
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
    /// Converts the metrics of each family.
    pub(crate) fn map<N>(self, convert: impl Fn(M) -> N) -> StoredGroup<N> {
        let Self { labels, families, pushed, rejected, rejected_help, ambiguity } = self;
        let family = |Family { time_stamp, kind, help, metrics }| Family {
            time_stamp,
            kind,
            help,
            metrics: convert(metrics),
        };
        let families = families.into_iter().map(|(name, of)| (name, family(of))).collect();
        StoredGroup { labels, families, pushed, rejected, rejected_help, ambiguity }
    }

    fn add(&mut self, name: String, family: Family<M>) -> Result<(), memory::Full> {
        let node = if self.families.is_empty() { 10 } else { 0 };
        let texts = name.len() + family.kind.len() + family.help.as_deref().map_or(0, str::len);
        memory::charge((2 + node) * size_of::<(String, Family<M>)>() + texts)?;
        self.families.insert(name, family);
        Ok(())
    }

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

/// The first item of a list; the others are not kept.
struct First<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FirstVisitor(PhantomData))
    }
}

struct FirstVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FirstVisitor<T> {
    type Value = First<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<First<T>, A::Error> {
        let first = list.next_element()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(First(first))
    }
}

/// `last_push_successful`: a family with this name, or `None` for the API's own field.
struct Successful<M>(Option<Family<M>>);

impl<'de, M: Deserialize<'de>> Deserialize<'de> for Successful<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SuccessfulVisitor(PhantomData))
    }
}

struct SuccessfulVisitor<M>(PhantomData<M>);

impl<'de, M: Deserialize<'de>> Visitor<'de> for SuccessfulVisitor<M> {
    type Value = Successful<M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or a family")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Successful<M>, E> {
        Ok(Successful(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Successful<M>, A::Error> {
        Family::deserialize(MapAccessDeserializer::new(map)).map(|family| Successful(Some(family)))
    }
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
        memory::charge(2 * size_of::<StoredGroup<M>>()).map_err(A::Error::custom)?;
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
                "labels" => labels = map.next_value::<Plain>()?.labels(),
                "last_push_successful" => {
                    if let Successful(Some(family)) = map.next_value()? {
                        group.add(name, family).map_err(A::Error::custom)?;
                    }
                }
                PUSH_TIME => group.pushed = push(&map.next_value()?),
                PUSH_FAILED => {
                    let family = map.next_value()?;
                    group.rejected = push(&family);
                    memory::charge(family.help.as_deref().map_or(0, str::len)).map_err(A::Error::custom)?;
                    group.rejected_help = family.help;
                }
                _ => {
                    let family = map.next_value()?;
                    if name.contains(REPLACED) {
                        group.ambiguity =
                            Some(Code::NotUtf8.because(format!("the family name {name:?} is not UTF-8")));
                    }
                    group.add(name, family).map_err(A::Error::custom)?;
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

/// Any value of JSON, of which only text and a plain object of texts are kept.
enum Plain {
    Text(String),
    Labels(Labels),
    Other,
}

impl Plain {
    /// Returns a plain object; anything else is a family named `labels`.
    fn labels(self) -> Option<Labels> {
        if let Self::Labels(labels) = self { Some(labels) } else { None }
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Plain, E> {
        Ok(Plain::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Plain, E> {
        Ok(Plain::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Plain, E> {
        Ok(Plain::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Plain, E> {
        Ok(Plain::Other)
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Plain, E> {
        Ok(Plain::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Plain, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Plain::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
        memory::charge(memory::of_map()).map_err(A::Error::custom)?;
        let mut labels = Labels::new();
        while let Some(name) = map.next_key::<String>()? {
            let Plain::Text(value) = map.next_value()? else {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Plain::Other);
            };
            memory::charge(memory::of_label(&name, &value)).map_err(A::Error::custom)?;
            labels.insert(name, value);
        }
        Ok(Plain::Labels(labels))
    }
}

/// Deserializes the labels of a metric, and charges them.
///
/// # Errors
/// They are no object of texts, or need too much memory.
pub(crate) fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    Plain::deserialize(deserializer)?.labels().ok_or_else(|| D::Error::custom("expected an object of texts"))
}

fn push(family: &Family<First<Gauge>>) -> Option<Push> {
    let seconds = family.metrics.0.as_ref()?.value.as_ref()?.parse().ok()?;
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
