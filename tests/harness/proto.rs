//! Writes pushes in protobuf, without any of the code under test. They can contain what the text format cannot.
//!
//! Messages: `io.prometheus.client` of prometheus/client_model. Each function returns an encoded field, except [`family`]
//! and [`one`], which return a part of a body.

/// Content type of the bodies.
pub const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Type of a family of counters.
pub const COUNTER: i64 = 0;
/// Type of a family of gauges.
pub const GAUGE: i64 = 1;
/// Type of a family of summaries.
pub const SUMMARY: i64 = 2;
/// Type of a family without a known type.
pub const UNTYPED: i64 = 3;
/// Type of a family of histograms.
pub const HISTOGRAM: i64 = 4;
/// Type of a family of gauge histograms.
pub const GAUGE_HISTOGRAM: i64 = 5;

fn varint(number: i64) -> Vec<u8> {
    let mut rest = number as u64;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// A text, bytes or an encoded message.
#[must_use]
pub fn bytes(field: i64, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [varint(field << 3 | 2), varint(value.len() as i64), value.to_vec()].concat()
}

/// A number.
#[must_use]
pub fn int(field: i64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A signed number, as native histograms have it.
#[must_use]
pub fn sint(field: i64, value: i64) -> Vec<u8> {
    int(field, (value << 1) ^ (value >> 63))
}

/// A list of numbers in one piece.
#[must_use]
pub fn packed(field: i64, numbers: &[i64]) -> Vec<u8> {
    bytes(field, numbers.iter().copied().flat_map(varint).collect::<Vec<_>>())
}

/// A floating-point number.
#[must_use]
pub fn double(field: i64, value: f64) -> Vec<u8> {
    [varint(field << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

/// A message of these fields.
#[must_use]
pub fn message(field: i64, parts: &[Vec<u8>]) -> Vec<u8> {
    bytes(field, parts.concat())
}

/// A label of a metric, of an exemplar, or of a series of remote write 1.0.
#[must_use]
pub fn label(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    bytes(1, [bytes(1, name), bytes(2, value)].concat())
}

/// The value of a gauge.
#[must_use]
pub fn gauge(value: f64) -> Vec<u8> {
    bytes(2, double(1, value))
}

/// The value of a counter, with further fields, such as an exemplar.
#[must_use]
pub fn counter(value: f64, more: &[u8]) -> Vec<u8> {
    bytes(3, [&double(1, value), more].concat())
}

/// The value of a summary with these quantiles.
#[must_use]
pub fn summary(quantiles: &[f64]) -> Vec<u8> {
    let quantile =
        |(value, quantile): (usize, &f64)| bytes(3, [double(1, *quantile), double(2, value as f64)].concat());
    bytes(4, [int(1, 1), double(2, 1.0), quantiles.iter().enumerate().flat_map(quantile).collect()].concat())
}

/// The value of a histogram with three observations and these bounds of buckets, with further fields.
#[must_use]
pub fn histogram(bounds: &[f64], more: &[u8]) -> Vec<u8> {
    let bucket = |(count, bound): (usize, &f64)| bytes(3, [int(1, count as i64), double(2, *bound)].concat());
    bytes(
        7,
        [&int(1, 3), &double(2, 1.0), &bounds.iter().enumerate().flat_map(bucket).collect::<Vec<_>>(), more]
            .concat(),
    )
}

/// A native histogram with three observations: schema, spans (offset, length) and deltas of the positive buckets.
#[must_use]
pub fn native(schema: i64, spans: &[(i64, i64)], deltas: &[i64]) -> Vec<u8> {
    native_with(schema, spans, deltas, &[])
}

/// As [`native`], with further fields.
#[must_use]
pub fn native_with(schema: i64, spans: &[(i64, i64)], deltas: &[i64], more: &[u8]) -> Vec<u8> {
    let spans: Vec<u8> =
        spans.iter().flat_map(|span| bytes(12, [sint(1, span.0), int(2, span.1)].concat())).collect();
    let deltas: Vec<u8> = deltas.iter().flat_map(|delta| sint(13, *delta)).collect();
    histogram(&[], &[&sint(5, schema), &spans, &deltas, more].concat())
}

/// A metric of the values above.
#[must_use]
pub fn metric(parts: &[Vec<u8>]) -> Vec<u8> {
    bytes(4, parts.concat())
}

/// A family with its length: name, type, metrics and further fields, such as the help text (2) and the unit (5).
#[must_use]
pub fn family(name: impl AsRef<[u8]>, kind: i64, parts: &[Vec<u8>]) -> Vec<u8> {
    let family = [bytes(1, name), int(3, kind), parts.concat()].concat();
    [varint(family.len() as i64), family].concat()
}

/// A family with one metric.
#[must_use]
pub fn one(name: impl AsRef<[u8]>, kind: i64, parts: &[Vec<u8>]) -> Vec<u8> {
    family(name, kind, &[metric(parts)])
}
