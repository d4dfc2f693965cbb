//! Checks native histograms as Prometheus 3 does (`model/histogram`, `Validate`). A Pushgateway accepts all of them, and
//! some stop its API.

use super::metric::{Histogram, Span};

/// Schemas of exponential buckets.
const EXPONENTIAL: std::ops::RangeInclusive<i32> = -4..=8;
/// Schema of custom buckets, whose bounds the protobuf format cannot carry.
const CUSTOM: i32 = -53;

/// Returns why Prometheus rejects the histogram. A classic histogram is never rejected.
pub(super) fn error(histogram: &Histogram) -> Option<String> {
    if !is_native(histogram) {
        return None;
    }
    let is_float = is_float(histogram);
    let buckets = |deltas: &[i64], counts: &[f64]| if is_float { counts.len() } else { deltas.len() };
    let sides = [
        ("positive", &histogram.positive_spans, &histogram.positive_deltas, &histogram.positive_counts),
        ("negative", &histogram.negative_spans, &histogram.negative_deltas, &histogram.negative_counts),
    ];
    for (side, spans, deltas, counts) in &sides {
        let (need, have) = (total(spans), buckets(deltas, counts));
        if need != have as u64 {
            return Some(format!("its {side} spans require {need} buckets, and it has {have}"));
        }
    }
    if histogram.schema == CUSTOM {
        let empty = histogram.zero_threshold == 0.0
            && histogram.zero_count == 0
            && sides.iter().all(|(_, spans, ..)| total(spans) == 0);
        return (!empty).then(|| "its schema is -53, custom buckets, and it has no bounds".to_owned());
    }
    if !EXPONENTIAL.contains(&histogram.schema) {
        return Some(format!("its schema is {}, allowed -4 to 8", histogram.schema));
    }
    for (side, spans, ..) in &sides {
        if let Some(error) = span_error(spans) {
            return Some(format!("a span of its {side} side {error}"));
        }
    }
    if is_float { float_error(histogram) } else { count_error(histogram) }
}

fn is_native(histogram: &Histogram) -> bool {
    !histogram.positive_spans.is_empty()
        || !histogram.negative_spans.is_empty()
        || histogram.zero_threshold > 0.0
        || histogram.zero_count > 0
}

fn is_float(histogram: &Histogram) -> bool {
    histogram.count_float > 0.0
        || histogram.zero_count_float > 0.0
        || !histogram.positive_counts.is_empty()
        || !histogram.negative_counts.is_empty()
}

fn total(spans: &[Span]) -> u64 {
    spans.iter().map(|span| u64::from(span.length)).sum()
}

fn span_error(spans: &[Span]) -> Option<String> {
    let mut end = 0;
    for (index, span) in spans.iter().enumerate() {
        if index > 0 && span.offset < 0 {
            return Some(format!("has the negative offset {}", span.offset));
        }
        end += i64::from(span.offset) + i64::from(span.length);
        if span.offset == i32::MIN || end - 1 > i64::from(i32::MAX) {
            return Some("has a bucket index out of range".to_owned());
        }
    }
    None
}

fn float_error(histogram: &Histogram) -> Option<String> {
    let counts = histogram.positive_counts.iter().chain(&histogram.negative_counts);
    let mut all = counts.chain([&histogram.zero_count_float, &histogram.count_float]);
    all.any(|count| *count < 0.0).then(|| "it has a negative count".to_owned())
}

fn count_error(histogram: &Histogram) -> Option<String> {
    let mut counted = histogram.zero_count;
    for deltas in [&histogram.positive_deltas, &histogram.negative_deltas] {
        let mut bucket = 0_i64;
        for delta in deltas {
            bucket = bucket.wrapping_add(*delta);
            match u64::try_from(bucket) {
                Ok(count) => counted = counted.wrapping_add(count),
                Err(_) => return Some("it has a bucket with a negative count".to_owned()),
            }
        }
    }
    // Observations of NaN are in the count, but in no bucket.
    let count = histogram.count;
    let is_wrong = if histogram.sum.is_nan() { counted > count } else { counted != count };
    is_wrong.then(|| format!("its buckets have {counted} observations, and its count is {count}"))
}
