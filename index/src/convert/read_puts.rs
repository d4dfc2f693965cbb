//! Puts in the JSON of a request. Each put that is wrong is an error of its own, with its place; the others are read.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Put;
use crate::METRIC_NAME;

/// Wrong puts of a body whose reason is kept.
const REASONS: usize = 10;
/// Letters of a wrong value that a reason shows.
const SHOWN: usize = 40;

/// Limits of a body and of each put. They bound the memory: an empty put takes three bytes of JSON, but much more in memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PutLimits {
    /// Most puts of a body.
    pub puts: usize,
    /// Most labels of a put, with its metric.
    pub labels: usize,
    /// Longest name of a tag or a metric, in bytes.
    pub name: usize,
}

/// The puts of a body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadPuts {
    /// The good ones, in their order; each of them has labels.
    pub puts: Vec<Put>,
    /// Number of the others.
    pub bad: usize,
    /// The reasons of the first of them.
    pub reasons: Vec<BadPut>,
}

/// The reason why a put is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadPut {
    /// Its place in the array, from 0.
    pub index: usize,
    /// The field: `metric`, `timestamp`, `value`, `tags` or `tags.NAME`; empty for the put itself.
    pub field: String,
    /// Text for people: expected and found.
    pub reason: String,
}

/// The reason why a body has no puts: it is not JSON of the right form. The text has line and column.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PutError(String);

/// Reads a body of `/api/put` (an array of puts, or one put) or the original's `{"timeseries": [...]}`. Unknown fields are
/// skipped.
///
/// # Errors
/// If the body is not JSON of one of these forms, or has too many puts.
pub fn read_puts(body: &[u8], limits: PutLimits) -> Result<ReadPuts, PutError> {
    #[derive(Deserialize)]
    struct Original<'b> {
        #[serde(borrow)]
        timeseries: Option<&'b RawValue>,
    }
    let wrong = |error: serde_json::Error| PutError(error.to_string());
    let whole: &RawValue = serde_json::from_slice(body).map_err(wrong)?;
    let mut read = ReadPuts::default();
    let array = match whole.get().as_bytes().first() {
        Some(b'[') => Some(whole),
        Some(b'{') => serde_json::from_str::<Original<'_>>(whole.get()).map_err(wrong)?.timeseries,
        _ => {
            return Err(PutError(
                "expected a put, an array of puts, or an object with \"timeseries\"".into(),
            ));
        }
    };
    match array {
        Some(array) => {
            let mut json = serde_json::Deserializer::from_str(array.get());
            json.deserialize_seq(Array { read: &mut read, limits }).map_err(wrong)?;
        }
        None => read.add(whole, limits),
    }
    Ok(read)
}

impl ReadPuts {
    fn add(&mut self, json: &RawValue, limits: PutLimits) {
        let index = self.puts.len() + self.bad;
        match put(json, limits) {
            Ok(put) => self.puts.push(put),
            Err((field, reason)) => {
                self.bad += 1;
                if self.reasons.len() < REASONS {
                    self.reasons.push(BadPut { index, field, reason });
                }
            }
        }
    }
}

struct Array<'r> {
    read: &'r mut ReadPuts,
    limits: PutLimits,
}

impl<'de> Visitor<'de> for Array<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of up to {} puts", self.limits.puts)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(json) = seq.next_element::<&RawValue>()? {
            number += 1;
            if number > self.limits.puts {
                return Err(A::Error::invalid_length(number, &self));
            }
            self.read.add(json, self.limits);
        }
        Ok(())
    }
}

/// A field and the reason why it is wrong.
type Wrong = (String, String);

fn wrong(field: &str, expected: &str, found: Option<&RawValue>) -> Wrong {
    let found = found.map_or("nothing", RawValue::get);
    let shown: String = found.chars().take(SHOWN).collect();
    let rest = if shown.len() < found.len() { "…" } else { "" };
    (field.to_owned(), format!("expected {expected}, found {shown}{rest}"))
}

fn put(json: &RawValue, limits: PutLimits) -> Result<Put, Wrong> {
    #[derive(Deserialize)]
    struct Raw<'j> {
        #[serde(borrow)]
        metric: Option<&'j RawValue>,
        timestamp: Option<&'j RawValue>,
        value: Option<&'j RawValue>,
        tags: Option<&'j RawValue>,
    }
    let is_object = json.get().starts_with('{');
    let raw: Raw<'_> = Some(json.get())
        .filter(|_| is_object)
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| wrong("", "an object with each field once", Some(json)))?;
    let name = format!("a name of 1 to {} bytes", limits.name);
    let metric: String = read(raw.metric)
        .filter(|metric: &String| !metric.is_empty() && metric.len() <= limits.name)
        .ok_or_else(|| wrong("metric", &name, raw.metric))?;
    // Up to here, JavaScript and others have exact numbers; a clock is far below.
    let timestamp = number(raw.timestamp)
        .filter(|time| time.fract() == 0.0 && (1.0..9e15).contains(time))
        .ok_or_else(|| wrong("timestamp", "seconds or milliseconds since 1970", raw.timestamp))?;
    let value = number(raw.value)
        .filter(|value| value.is_finite())
        .ok_or_else(|| wrong("value", "a finite number", raw.value))?;
    let tags = tags(raw.tags, limits)?;
    Ok(Put { metric, timestamp: timestamp as i64, value, tags })
}

fn tags(json: Option<&RawValue>, limits: PutLimits) -> Result<BTreeMap<String, String>, Wrong> {
    let Some(json) = json else { return Ok(BTreeMap::new()) };
    let found: BTreeMap<String, &RawValue> =
        serde_json::from_str(json.get()).map_err(|_| wrong("tags", "an object", Some(json)))?;
    if found.len() >= limits.labels {
        let expected = format!("at most {} tags", limits.labels.saturating_sub(1));
        return Err(("tags".into(), format!("expected {expected}, found {}", found.len())));
    }
    let mut tags = BTreeMap::new();
    for (name, value) in found {
        let field = format!("tags.{}", name.chars().take(SHOWN).collect::<String>());
        if name.is_empty() || name.len() > limits.name || name == METRIC_NAME {
            let expected = format!("a name of 1 to {} bytes other than {METRIC_NAME}", limits.name);
            return Err((field, format!("expected {expected}")));
        }
        let text = read(Some(value)).ok_or_else(|| wrong(&field, "text", Some(value)))?;
        tags.insert(name, text);
    }
    Ok(tags)
}

fn read<T: DeserializeOwned>(json: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(json?.get()).ok()
}

/// Reads a number, which may be in quotes.
fn number(json: Option<&RawValue>) -> Option<f64> {
    read(json).or_else(|| read::<String>(json)?.parse().ok())
}

impl fmt::Display for BadPut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, field, reason } = self;
        let separator = if field.is_empty() { "" } else { ": " };
        write!(f, "put {index}{separator}{field}: {reason}")
    }
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body is not an OpenTSDB put: {}", self.0)
    }
}

impl std::error::Error for PutError {}
