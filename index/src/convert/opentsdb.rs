//! OpenTSDB's `put`: to it from samples, and from it to series.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::wire::WireError;
use crate::{Labels, LabelsError, METRIC_NAME};

/// Most puts of one request to a target.
pub const MAX_PUTS: usize = 1_000;
/// Most tags of a put in OpenTSDB's own configuration.
const MAX_TAGS: usize = 8;

/// A data point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Put {
    /// Name of the metric.
    pub metric: String,
    /// Seconds since 1970, or milliseconds if it has more than 10 digits.
    pub timestamp: i64,
    /// The value, which JSON may hold as a number or as text.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// The labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The letters that a target allows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Charset {
    /// The letters of OpenTSDB: `[A-Za-z0-9_./-]`; others become `_`. A put has 1 to 8 tags.
    Strict,
    /// All, as in VictoriaMetrics.
    #[default]
    Victoria,
}

/// Samples and histograms that have no put.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Dropped {
    /// NaN, infinities and stale markers, which JSON does not have.
    pub not_finite: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Samples of a series with more tags than [`Charset::Strict`] allows.
    pub tags: u64,
}

/// Puts from the samples of remote writes.
#[derive(Clone, Debug, Default)]
pub struct Puts {
    charset: Charset,
    puts: Vec<Put>,
    dropped: Dropped,
}

/// The reason why a body holds no puts, or a put no series.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PutError {
    /// The body is not JSON of this form; the text has line and column.
    Json(String),
    /// The tags and the metric are no labels.
    Labels(LabelsError),
}

impl Puts {
    /// Starts without puts.
    #[must_use]
    pub fn new(charset: Charset) -> Self {
        Self { charset, ..Self::default() }
    }

    /// Adds the samples of a series, which has `histograms` native ones.
    ///
    /// # Errors
    /// If a sample is not protobuf.
    pub fn add(
        &mut self,
        labels: &Labels,
        samples: impl IntoIterator<Item = Result<(i64, f64), WireError>>,
        histograms: u64,
    ) -> Result<(), WireError> {
        self.dropped.histograms += histograms;
        let text = |text: &str| match self.charset {
            Charset::Victoria => text.to_owned(),
            Charset::Strict => {
                text.chars().map(|letter| if is_strict(letter) { letter } else { '_' }).collect()
            }
        };
        let metric = text(labels.metric());
        let tags = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
        let mut tags: BTreeMap<_, _> = tags.map(|(name, value)| (text(name), text(value))).collect();
        let is_strict = self.charset == Charset::Strict;
        if is_strict && tags.is_empty() {
            tags.insert("source".into(), "prometheus".into());
        }
        for sample in samples {
            let (timestamp, value) = sample?;
            if !value.is_finite() {
                self.dropped.not_finite += 1;
            } else if is_strict && tags.len() > MAX_TAGS {
                self.dropped.tags += 1;
            } else {
                self.puts.push(Put { metric: metric.clone(), timestamp, value, tags: tags.clone() });
            }
        }
        Ok(())
    }

    /// Returns the puts, and what has none.
    #[must_use]
    pub fn finish(self) -> (Vec<Put>, Dropped) {
        (self.puts, self.dropped)
    }
}

fn is_strict(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_./-".contains(letter)
}

/// Writes puts as bodies of `/api/put`: arrays of up to [`MAX_PUTS`].
pub fn put_bodies(puts: &[Put]) -> impl Iterator<Item = Vec<u8>> {
    // Writing to memory fails for no put: names are text and values finite.
    puts.chunks(MAX_PUTS).map(|puts| serde_json::to_vec(puts).unwrap_or_default())
}

/// Reads a body of `/api/put` (an array, or one put) or `{"timeseries": [...]}`. At most `limit` puts are read.
///
/// # Errors
/// If the body is not JSON of one of these forms, or has more puts.
pub fn read_puts(body: &[u8], limit: usize) -> Result<Vec<Put>, PutError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let puts = Body(limit).deserialize(&mut json).and_then(|puts| json.end().map(|()| puts));
    puts.map_err(|error| PutError::Json(error.to_string()))
}

impl Put {
    /// Returns the series: the metric as `__name__`, the tags as labels.
    ///
    /// # Errors
    /// If these are no labels of a series.
    pub fn labels(&self) -> Result<Labels, PutError> {
        let mut labels: Vec<_> =
            self.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        labels.push((METRIC_NAME.to_owned(), self.metric.clone()));
        Labels::new(labels).map_err(PutError::Labels)
    }

    /// Returns the time in milliseconds since 1970.
    #[must_use]
    pub fn milliseconds(&self) -> i64 {
        if self.timestamp.unsigned_abs() < 10_000_000_000 { self.timestamp * 1_000 } else { self.timestamp }
    }
}

/// A body with a limit of puts, which bounds the memory: an empty put takes three bytes of JSON, but much more in memory.
struct Body(usize);

/// The array in a body.
struct Array(usize);

impl<'de> DeserializeSeed<'de> for Body {
    type Value = Vec<Put>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Put>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Body {
    type Value = Vec<Put>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a put, an array of puts, or an object with the array \"timeseries\"")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<Put>, A::Error> {
        Array(self.0).visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Put>, A::Error> {
        let (mut metric, mut timestamp, mut value, mut tags) = (None, None, None, None);
        let mut puts = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "timeseries" => puts = Some(map.next_value_seed(Array(self.0))?),
                "metric" => metric = Some(map.next_value()?),
                "timestamp" => timestamp = Some(map.next_value()?),
                "value" => value = Some(map.next_value::<Number>()?.0),
                "tags" => tags = Some(map.next_value()?),
                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
            }
        }
        if let Some(puts) = puts {
            return Ok(puts);
        }
        let missing = A::Error::missing_field;
        Ok(vec![Put {
            metric: metric.ok_or_else(|| missing("metric"))?,
            timestamp: timestamp.ok_or_else(|| missing("timestamp"))?,
            value: value.ok_or_else(|| missing("value"))?,
            tags: tags.unwrap_or_default(),
        }])
    }
}

impl<'de> DeserializeSeed<'de> for Array {
    type Value = Vec<Put>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Put>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Array {
    type Value = Vec<Put>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of up to {} puts", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Put>, A::Error> {
        let mut puts = Vec::new();
        while let Some(put) = seq.next_element()? {
            if puts.len() == self.0 {
                return Err(A::Error::invalid_length(puts.len() + 1, &self));
            }
            puts.push(put);
        }
        Ok(puts)
    }
}

/// A finite number, or text of one.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number(deserializer).map(Self)
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(f64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Some(number),
        Either::Text(text) => text.parse().ok(),
    }
    .filter(|number: &f64| number.is_finite())
    .ok_or_else(|| D::Error::custom("expected a finite number as value"))
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the body is not an OpenTSDB put: {error}"),
            Self::Labels(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PutError {}
