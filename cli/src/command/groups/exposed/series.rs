//! The series that Prometheus makes of a metric. It stores one sample for a series and scrape and drops the others, most
//! of them silently. It stores `le="1"` of a histogram as `le="1.0"`, but it also takes two samples with the same text for
//! the same series, such as `m_bucket{le="1"}` of a histogram `m` and of a gauge `m_bucket`. So a series has two keys.

use std::borrow::Cow;

use super::metric::Metric;
use super::native::is_native;
use super::scraper::Scraper;
use crate::reason::Code;

/// The type of a family, as far as it decides about series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Single,
    Summary,
    Histogram,
}

/// Name and value.
type Label<'m> = (Cow<'m, [u8]>, Cow<'m, [u8]>);

/// The label that contains the name of a series.
const NAME: &[u8] = b"__name__";
/// The labels that Prometheus adds to a bucket and a quantile.
const PARTS: [&[u8]; 2] = [b"le", b"quantile"];

/// Kinds of keys: the labels of a series, and the text of a sample.
const LABELS: u8 = 0;
const TEXT: u8 = 1;

/// Returns the labels of a metric for a scraper, in their order.
fn labels<'m>(scraper: Scraper, metric: &'m Metric) -> Vec<Label<'m>> {
    let label =
        |label: &'m super::metric::Label| (scraper.escape(&label.name), Cow::Borrowed(label.value.as_ref()));
    metric.labels.iter().map(label).collect()
}

/// Returns why a scraper rejects the labels of a metric, and the whole scrape with it. It needs names that are escaped.
pub(super) fn label_error(scraper: Scraper, metric: &Metric) -> Option<(Code, &'static str)> {
    let mut labels = labels(scraper, metric);
    labels.sort();
    let is_removed = |name: &[u8]| labels.iter().any(|(other, value)| **other == *name && value.is_empty());
    let mut pairs = labels.windows(2);
    if pairs.any(|pair| pair[0].0 == pair[1].0 && !is_removed(&pair[0].0)) {
        return Some((Code::RepeatedLabel, "two labels of a metric have the same name after escaping"));
    }
    if labels.iter().any(|(name, _)| **name == *NAME) {
        return Some((Code::RepeatedLabel, "the name of a label is `__name__` after escaping"));
    }
    let mut names = labels.iter().map(|(name, _)| name);
    let ends = names.any(|name| scraper.ends_at_colon(name));
    let text = "the name of a label contains a colon: the text format ends at it after escaping";
    ends.then_some((Code::InvalidName, text))
}

/// Calls `found` with the keys of each series: its name and its labels. Labels with an empty value are no labels.
pub(super) fn each(
    scraper: Scraper,
    name: &[u8],
    shape: Shape,
    metric: &Metric,
    mut found: impl FnMut(Vec<u8>),
) {
    let name = scraper.escape(name);
    let written = labels(scraper, metric);
    let mut labels = written.clone();
    // Prometheus removes a label with an empty value, and with it all others with that name, such as the one that it adds to
    // a bucket.
    let removed: Vec<Cow<'_, [u8]>> =
        labels.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name.clone()).collect();
    labels.retain(|(name, _)| !removed.contains(name));
    let ends_like_part = written.last().is_some_and(|(name, _)| PARTS.contains(&&**name));
    let mut add = |suffix: &str, part: Option<(&str, f64)>| {
        let name = [&*name, suffix.as_bytes()].concat();
        let number = part.map(|(_, number)| openmetrics(number)).unwrap_or_default();
        let part = part.map(|(part, _)| part.as_bytes());
        if scraper.reads_text() && (part.is_some() || ends_like_part) {
            let part = part.map(|part| (part, number.trim_end_matches(".0").as_bytes()));
            found(key(TEXT, &name, plain(&written).chain(part)));
        }
        let part = part.filter(|part| !removed.iter().any(|removed| **removed == **part));
        let mut labels: Vec<_> = plain(&labels).chain(part.map(|part| (part, number.as_bytes()))).collect();
        labels.sort_unstable();
        found(key(LABELS, &name, labels.into_iter()));
    };
    match shape {
        Shape::Single => return add("", None),
        Shape::Summary => {
            let quantiles = metric.summary.iter().flat_map(|summary| &summary.quantiles);
            quantiles.for_each(|quantile| add("", Some(("quantile", quantile.quantile))));
        }
        Shape::Histogram => {
            let buckets = metric.histogram.iter().flat_map(|histogram| &histogram.buckets);
            let mut bounds: Vec<f64> = buckets.map(|bucket| bucket.upper_bound).collect();
            if metric.histogram.as_ref().is_some_and(is_native) {
                if scraper.has_native() {
                    add("", None);
                }
                if !scraper.has_classic(!bounds.is_empty()) {
                    return;
                }
            }
            // Both formats add this bucket if it is missing.
            if !bounds.contains(&f64::INFINITY) {
                bounds.push(f64::INFINITY);
            }
            bounds.into_iter().for_each(|bound| add("_bucket", Some(("le", bound))));
        }
    }
    add("_sum", None);
    add("_count", None);
}

fn plain<'l>(labels: &'l [Label<'_>]) -> impl Iterator<Item = (&'l [u8], &'l [u8])> {
    labels.iter().map(|(name, value)| (&**name, &**value))
}

fn key<'l>(kind: u8, name: &[u8], labels: impl Iterator<Item = (&'l [u8], &'l [u8])>) -> Vec<u8> {
    let mut key = vec![kind];
    let mut add = |part: &[u8]| {
        // The lengths make the key unambiguous, whatever the bytes are.
        key.extend_from_slice(&(part.len() as u64).to_le_bytes());
        key.extend_from_slice(part);
    };
    add(name);
    for (name, value) in labels {
        add(name);
        add(value);
    }
    key
}

/// Writes the value of `le` or `quantile` as Prometheus 3 stores it, which is Go's format `%g` with a decimal point.
fn openmetrics(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    // Prometheus writes 0 for -0.
    let scientific = format!("{:e}", number + 0.0);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        -4..=5 => {
            let plain = format!("{}", number + 0.0);
            if plain.contains('.') { plain } else { format!("{plain}.0") }
        }
        exponent => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

/// Returns the labels of a metric.
pub(super) fn exact(metric: &Metric) -> std::collections::BTreeMap<Vec<u8>, Vec<u8>> {
    metric.labels.iter().map(|label| (label.name.to_vec(), label.value.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected texts are those of Go's `strconv.FormatFloat(f, 'g', -1, 64)`.
    #[test]
    fn writes_bounds_as_prometheus() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.0, "0.0"),
            (0.25, "0.25"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (100_000.0, "100000.0"),
            (123_456.5, "123456.5"),
            (1_000_000.0, "1e+06"),
            (-1_234_567.0, "-1.234567e+06"),
            (5e-324, "5e-324"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(openmetrics(number), text);
        }
    }
}
