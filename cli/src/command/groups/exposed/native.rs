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
        if !fits_no_bounds(histogram) {
            return Some("its schema is -53, custom buckets, and it has no bounds".to_owned());
        }
        return if is_float { float_error(histogram) } else { count_error(histogram) };
    }
    if !EXPONENTIAL.contains(&histogram.schema) {
        return Some(format!("its schema is {}, allowed -4 to 8", histogram.schema));
    }
    for (side, spans, deltas, counts) in &sides {
        let is_empty = if is_float { empty_counts(counts) } else { empty_deltas(deltas) };
        if let Some(error) = span_error(spans, &is_empty) {
            return Some(format!("a span of its {side} side {error}"));
        }
    }
    if is_float { float_error(histogram) } else { count_error(histogram) }
}

/// Returns whether Prometheus reads a histogram as a native one, in protobuf.
pub(super) fn is_native(histogram: &Histogram) -> bool {
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

/// Returns whether the custom buckets are at most the one without a bound, which has the index 0.
fn fits_no_bounds(histogram: &Histogram) -> bool {
    let zero_count =
        if is_float(histogram) { histogram.zero_count_float != 0.0 } else { histogram.zero_count > 0 };
    let spans = &histogram.positive_spans;
    let first = spans.iter().position(|span| span.length > 0);
    let index = |first: usize| spans[..=first].iter().fold(0_i32, |sum, span| sum.wrapping_add(span.offset));
    histogram.zero_threshold == 0.0
        && !zero_count
        && total(&histogram.negative_spans) == 0
        && first.is_none_or(|first| total(spans) == 1 && index(first) == 0)
}

fn empty_counts(counts: &[f64]) -> Vec<bool> {
    counts.iter().map(|count| *count == 0.0).collect()
}

fn empty_deltas(deltas: &[i64]) -> Vec<bool> {
    let mut bucket = 0_i64;
    let is_empty = |delta: &i64| {
        bucket = bucket.wrapping_add(*delta);
        bucket == 0
    };
    deltas.iter().map(is_empty).collect()
}

/// Prometheus removes empty buckets first: they become a part of the next offset, which wraps.
fn span_error(spans: &[Span], is_empty: &[bool]) -> Option<String> {
    let mut is_empty = is_empty.iter();
    let (mut offset, mut end, mut is_first) = (0_i32, 0_i64, true);
    for span in spans {
        offset = offset.wrapping_add(span.offset);
        for is_empty in is_empty.by_ref().take(span.length as usize) {
            if *is_empty {
                offset = offset.wrapping_add(1);
                continue;
            }
            if !is_first && offset < 0 {
                return Some(format!("has the negative offset {offset}"));
            }
            end += i64::from(offset) + 1;
            if offset == i32::MIN || end - 1 > i64::from(i32::MAX) {
                return Some("has a bucket index out of range".to_owned());
            }
            (offset, is_first) = (0, false);
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
