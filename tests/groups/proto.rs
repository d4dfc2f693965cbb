//! Pushes in protobuf, which can contain what the text format cannot.

/// Types of families.
pub(crate) const COUNTER: i64 = 0;
pub(crate) const GAUGE: i64 = 1;
pub(crate) const SUMMARY: i64 = 2;
pub(crate) const HISTOGRAM: i64 = 4;
pub(crate) const GAUGE_HISTOGRAM: i64 = 5;

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

pub(crate) fn bytes(field: i64, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [varint(field << 3 | 2), varint(value.len() as i64), value.to_vec()].concat()
}

pub(crate) fn int(field: i64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A signed number, as native histograms have it.
pub(crate) fn sint(field: i64, value: i64) -> Vec<u8> {
    int(field, (value << 1) ^ (value >> 63))
}

pub(crate) fn double(field: i64, value: f64) -> Vec<u8> {
    [varint(field << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

pub(crate) fn label(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    bytes(1, [bytes(1, name), bytes(2, value)].concat())
}

pub(crate) fn gauge(value: f64) -> Vec<u8> {
    bytes(2, double(1, value))
}

pub(crate) fn counter(value: f64, more: &[u8]) -> Vec<u8> {
    bytes(3, [&double(1, value), more].concat())
}

pub(crate) fn summary(quantiles: &[f64]) -> Vec<u8> {
    let quantile =
        |(value, quantile): (usize, &f64)| bytes(3, [double(1, *quantile), double(2, value as f64)].concat());
    bytes(4, [int(1, 1), double(2, 1.0), quantiles.iter().enumerate().flat_map(quantile).collect()].concat())
}

pub(crate) fn histogram(bounds: &[f64], more: &[u8]) -> Vec<u8> {
    let bucket = |(count, bound): (usize, &f64)| bytes(3, [int(1, count as i64), double(2, *bound)].concat());
    bytes(
        7,
        [&int(1, 3), &double(2, 1.0), &bounds.iter().enumerate().flat_map(bucket).collect::<Vec<_>>(), more]
            .concat(),
    )
}

/// A native histogram with three observations: schema, spans (offset, length) and deltas of the positive buckets.
pub(crate) fn native(schema: i64, spans: &[(i64, i64)], deltas: &[i64]) -> Vec<u8> {
    native_with(schema, spans, deltas, &[])
}

pub(crate) fn native_with(schema: i64, spans: &[(i64, i64)], deltas: &[i64], more: &[u8]) -> Vec<u8> {
    let spans: Vec<u8> =
        spans.iter().flat_map(|span| bytes(12, [sint(1, span.0), int(2, span.1)].concat())).collect();
    let deltas: Vec<u8> = deltas.iter().flat_map(|delta| sint(13, *delta)).collect();
    histogram(&[], &[&sint(5, schema), &spans, &deltas, more].concat())
}

/// A metric of the values above.
pub(crate) fn metric(parts: &[Vec<u8>]) -> Vec<u8> {
    bytes(4, parts.concat())
}

/// A family with its length: name, type, metrics and further fields, such as the help text (2) and the unit (5).
pub(crate) fn family(name: impl AsRef<[u8]>, kind: i64, parts: &[Vec<u8>]) -> Vec<u8> {
    let family = [bytes(1, name), int(3, kind), parts.concat()].concat();
    [varint(family.len() as i64), family].concat()
}

/// A family with one metric.
pub(crate) fn one(name: impl AsRef<[u8]>, kind: i64, parts: &[Vec<u8>]) -> Vec<u8> {
    family(name, kind, &[metric(parts)])
}
