//! OpenTSDB's `put`: from samples, and to series.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::wire::WireError;
use crate::{Labels, LabelsError, METRIC_NAME};

/// Most puts of one request to a target.
pub const MAX_PUTS: usize = 1_000;
/// Most tags of a put in OpenTSDB's own configuration.
const MAX_TAGS: usize = 8;

/// A data point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Put {
    /// Name of the metric.
    pub metric: String,
    /// Seconds since 1970, or milliseconds if it has more than 10 digits.
    pub timestamp: i64,
    /// The value; finite.
    pub value: f64,
    /// The labels.
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

impl Put {
    /// Returns the series: the metric as `__name__`, the tags as labels.
    ///
    /// # Errors
    /// If these are no labels of a series.
    pub fn labels(&self) -> Result<Labels, LabelsError> {
        let mut labels: Vec<_> =
            self.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        labels.push((METRIC_NAME.to_owned(), self.metric.clone()));
        Labels::new(labels)
    }

    /// Returns the time in milliseconds since 1970.
    #[must_use]
    pub fn milliseconds(&self) -> i64 {
        if self.timestamp.unsigned_abs() < 10_000_000_000 { self.timestamp * 1_000 } else { self.timestamp }
    }
}
