//! The series of a push to a pushgateway: those that a scrape of the pushgateway shows for its group afterwards.
//!
//! The rules come from prometheus/pushgateway 1.11.3 (`handler/push.go`, `storage/diskmetricstore.go`) and prometheus/common
//! 0.67.5 (`expfmt`).

#![deny(clippy::indexing_slicing)]

mod family;
// The numbers of `pushring serve`.
#[path = "../../../cli/src/command/serve/number.rs"]
mod number;
mod path;
mod protobuf;
#[cfg(test)]
mod tests;
mod text;

pub use path::{Group, PathError, Paths};

use std::fmt;

use crate::wire::WireError;
use crate::{Labels, LabelsError, Metadata};

/// The largest push that [`series`] reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PushLimits {
    /// Most series of a push. An empty metric takes two bytes of a body, but much more in memory.
    pub series: usize,
    /// Most labels of a metric.
    pub labels: usize,
}

/// The reason why a push has no series: its pushgateway refuses it too, or it is larger than allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PushError {
    /// The text format is wrong.
    Text {
        /// Number of the line, from 1.
        line: usize,
        /// The fault.
        reason: String,
    },
    /// The protobuf format is wrong.
    Wire(WireError),
    /// Protobuf with text that is not UTF-8.
    NotUtf8,
    /// A metric has a time, which a pushgateway refuses.
    Timestamp {
        /// Name of the metric.
        metric: String,
    },
    /// The labels of a metric name no series.
    Labels {
        /// Name of the metric.
        metric: String,
        /// The fault.
        error: LabelsError,
    },
    /// More series than allowed.
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// The labels of all series have more bytes than a push may have.
    TooLong,
    /// A metric has more labels than allowed.
    TooManyLabels {
        /// The limit.
        limit: usize,
    },
}

/// Most bytes of the labels of all series of a push: the labels of its group are in each.
const MAX_BYTES: usize = 128 << 20;
/// Bytes of a help text that are kept; each series has a copy.
const MAX_HELP: usize = 1 << 10;

/// Reads the body of a push, decompressed, and returns the series of its metrics with the labels of its group, and the two
/// series with the time of the last push that a pushgateway adds to each group.
///
/// `content_type` decides the format: delimited protobuf if it says so, else text, as in a pushgateway. A histogram or
/// summary gives the series that the text format shows; a native histogram is one series, besides the classic buckets if it
/// has some.
///
/// # Errors
/// If the format is wrong, or something is larger than allowed: then the push has no series at all.
pub fn series(
    group: &Group,
    content_type: &str,
    body: &[u8],
    limits: PushLimits,
) -> Result<Vec<(Labels, Metadata)>, PushError> {
    let families = if is_protobuf(content_type) {
        protobuf::families(body, limits)?
    } else {
        text::families(body, limits)?
    };
    let mut series = family::Shown::new(group, limits);
    for family in families.into_iter().chain(family::push_times()) {
        series.add(family)?;
    }
    Ok(series.into_series())
}

/// Whether a pushgateway reads a body of this type as delimited protobuf.
fn is_protobuf(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_type =
        parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/vnd.google.protobuf"));
    let parameter = |name: &str, value: &str| {
        let mut parts = parts.clone().filter_map(|part| part.split_once('='));
        parts.any(|(found, text)| {
            found.trim().eq_ignore_ascii_case(name) && text.trim().trim_matches('"') == value
        })
    };
    is_type && parameter("encoding", "delimited") && parameter("proto", "io.prometheus.client.MetricFamily")
}

impl From<WireError> for PushError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, reason } => write!(f, "line {line} of the push: {reason}"),
            Self::Wire(error) => error.fmt(f),
            Self::NotUtf8 => f.write_str("a name or label of the push is not UTF-8"),
            Self::Timestamp { metric } => {
                write!(f, "the metric {metric:?} has a timestamp; a push must not have any")
            }
            Self::Labels { metric, error } => write!(f, "the metric {metric:?}: {error}"),
            Self::TooManySeries { limit } => write!(f, "the push has more than {limit} series"),
            Self::TooLong => write!(f, "the labels of the push have more than {MAX_BYTES} bytes"),
            Self::TooManyLabels { limit } => write!(f, "a metric of the push has more than {limit} labels"),
        }
    }
}

impl std::error::Error for PushError {}
