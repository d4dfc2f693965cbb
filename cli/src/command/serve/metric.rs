//! `io.prometheus.client.Metric` of prometheus/client_model, as far as the text format and the API show it. The rest
//! (exemplars, created timestamps, native buckets) stays in the raw bytes.

use std::cmp::Ordering;

use prost::Message;
use prost::bytes::Bytes;

use crate::gateway::exposition::check_fields;

/// Most labels of a metric: an empty one takes two bytes, but much more memory.
const MAX_LABELS: usize = 1 << 16;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(message, optional, tag = "2")]
    pub(super) gauge: Option<Value>,
    #[prost(message, optional, tag = "3")]
    pub(super) counter: Option<Value>,
    #[prost(message, optional, tag = "4")]
    pub(super) summary: Option<Summary>,
    #[prost(message, optional, tag = "5")]
    pub(super) untyped: Option<Value>,
    #[prost(int64, optional, tag = "6")]
    pub(super) timestamp_ms: Option<i64>,
    #[prost(message, optional, tag = "7")]
    pub(super) histogram: Option<Histogram>,
}

/// Only the labels, decoded without the rest.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Labels {
    #[prost(message, repeated, tag = "1")]
    pub(super) all: Vec<Label>,
}

/// Fields are optional so that an empty text is written, as Go's library does.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Label {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(super) name: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(super) value: Option<Bytes>,
}

/// A gauge, counter or untyped metric.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Value {
    #[prost(double, optional, tag = "1")]
    pub(super) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(uint64, optional, tag = "1")]
    pub(super) count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(super) quantiles: Vec<Quantile>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Quantile {
    #[prost(double, optional, tag = "1")]
    pub(super) quantile: Option<f64>,
    #[prost(double, optional, tag = "2")]
    pub(super) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(super) count: Option<u64>,
    #[prost(double, optional, tag = "4")]
    pub(super) count_float: Option<f64>,
    #[prost(double, optional, tag = "2")]
    pub(super) sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(super) buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    pub(super) count: Option<u64>,
    #[prost(double, optional, tag = "4")]
    pub(super) count_float: Option<f64>,
    #[prost(double, optional, tag = "2")]
    pub(super) upper_bound: Option<f64>,
}

impl Label {
    pub(super) fn new(name: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { name: Some(name.into()), value: Some(value.into()) }
    }
}

impl Histogram {
    /// Number of observations; Go's library writes the float if there is one.
    pub(super) fn observations(&self) -> f64 {
        float_or(self.count_float, self.count)
    }
}

impl Bucket {
    pub(super) fn observations(&self) -> f64 {
        float_or(self.count_float, self.count)
    }
}

/// Every text format shows counts as floats.
#[allow(clippy::cast_precision_loss)]
pub(super) fn float_or(float: Option<f64>, whole: Option<u64>) -> f64 {
    match float.unwrap_or_default() {
        0.0 => whole.unwrap_or_default() as f64,
        float => float,
    }
}

/// Decodes a metric.
///
/// # Errors
/// The bytes are not a metric.
pub(super) fn decode(raw: &Bytes) -> anyhow::Result<Metric> {
    check_fields(raw, MAX_LABELS)?;
    Ok(Metric::decode(raw.clone())?)
}

/// Decodes the labels of a metric.
///
/// # Errors
/// The bytes are not a metric.
pub(super) fn labels(raw: &Bytes) -> anyhow::Result<Vec<Label>> {
    check_fields(raw, MAX_LABELS)?;
    Ok(Labels::decode(raw.clone())?.all)
}

/// Returns bytes that are the same for two metrics exactly if their labels are; the labels are sorted by name.
pub(super) fn key<'l>(labels: impl Iterator<Item = (&'l [u8], &'l [u8])>) -> Box<[u8]> {
    let mut key = Vec::with_capacity(128);
    for part in labels.flat_map(|(name, value)| [name, value]) {
        // The length makes it unambiguous, whatever the bytes are.
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        key.extend_from_slice(&length.to_le_bytes());
        key.extend_from_slice(part);
    }
    key.into_boxed_slice()
}

/// Returns the [`key`] of decoded labels.
pub(super) fn key_of(labels: &[Label]) -> Box<[u8]> {
    let mut pairs: Vec<_> = labels.iter().map(|label| (label.name(), label.value())).collect();
    pairs.sort_unstable();
    key(pairs.into_iter())
}

/// The order of a family's metrics in Go's library: by the number of labels, then by their values.
pub(super) fn order(a: &[Label], b: &[Label]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.iter().map(Label::value).cmp(b.iter().map(Label::value)))
}
