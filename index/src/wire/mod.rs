//! Remote write, read by a bounded walk over the protobuf bytes: nothing is copied, and only what is asked for is parsed.
//!
//! Each reader refuses exactly what a decoder of protobuf refuses, except for groups (a form that no remote write has), the
//! fields of the other version, and text that is not UTF-8, which makes a series bad, not the request.

#![deny(clippy::indexing_slicing)]

mod digests;
mod histogram;
mod label_set;
mod protobuf;
#[cfg(test)]
mod tests;
pub mod v1;
pub mod v2;

pub use digests::Digests;
pub use label_set::{LabelSet, MAX_SERIES_BYTES, Tenant};
pub use protobuf::WireError;

use std::fmt;
use std::ops::AddAssign;

use crate::LabelsError;

pub(crate) use protobuf::{Field, Fields, label_bytes, varint, write_varint};

/// Numbers of a series or of a request, as the headers `X-Prometheus-Remote-Write-*-Written` count them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Float samples.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.histograms += other.histograms;
        self.exemplars += other.exemplars;
    }
}

/// The reason why one series of a request is bad; the others may be good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SeriesError {
    /// Its labels name no series.
    Labels(LabelsError),
    /// A label has a name or a value that is not UTF-8.
    NotUtf8,
    /// It has more labels than allowed.
    TooManyLabels {
        /// The limit.
        limit: usize,
    },
    /// Its labels have more than [`MAX_SERIES_BYTES`].
    TooLong,
    /// Remote write 2.0: a reference to a symbol that the request does not have.
    NoSymbol {
        /// The reference.
        reference: u32,
        /// Number of symbols in the request.
        symbols: usize,
    },
    /// Remote write 2.0: the last label has a name and no value.
    OddReferences,
    /// A native histogram whose counts do not fit together.
    Histogram(&'static str),
    /// The bytes of a label are not protobuf.
    Wire(WireError),
}

impl From<LabelsError> for SeriesError {
    fn from(error: LabelsError) -> Self {
        Self::Labels(error)
    }
}

impl From<WireError> for SeriesError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl fmt::Display for SeriesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Labels(error) => error.fmt(f),
            Self::NotUtf8 => f.write_str("a label of the series is not UTF-8"),
            Self::TooManyLabels { limit } => write!(f, "the series has more than {limit} labels"),
            Self::TooLong => write!(f, "the labels of the series have more than {MAX_SERIES_BYTES} bytes"),
            Self::NoSymbol { reference, symbols } => {
                write!(
                    f,
                    "a label of the series is symbol {reference}, but the request has {symbols} symbols"
                )
            }
            Self::OddReferences => f.write_str("a label of the series has a name, but no value"),
            Self::Histogram(reason) => f.write_str(reason),
            Self::Wire(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SeriesError {}

/// Types of a metric by their numbers in both versions; the first is unknown.
const TYPES: [&str; 8] =
    ["", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];

/// Name of a type; empty if the number is unknown.
fn type_name(number: u32) -> &'static str {
    usize::try_from(number).ok().and_then(|number| TYPES.get(number)).copied().unwrap_or_default()
}

/// The number of a type; 0 if it is not known.
pub(crate) fn type_number(name: &str) -> u8 {
    TYPES.iter().position(|known| *known == name).unwrap_or_default() as u8
}
