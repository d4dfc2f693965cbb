//! The series that Prometheus makes of a metric. It stores one sample for a series and scrape and drops the others, most
//! of them silently.

use prost::bytes::Bytes;

use super::metric::{Label, Metric};

/// The type of a family, as far as it decides about series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Single,
    Summary,
    Histogram,
}

/// Calls `found` with the key of each series: its name and its labels. Labels with an empty value are no labels.
pub(super) fn each(name: &[u8], shape: Shape, metric: &Metric, mut found: impl FnMut(Vec<u8>)) {
    let mut labels: Vec<&Label> = metric.labels.iter().filter(|label| !label.value.is_empty()).collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    // Prometheus removes a label with an empty value, and with it the one that it adds to a bucket.
    let is_removed =
        |name: &str| metric.labels.iter().any(|label| label.name == name && label.value.is_empty());
    let mut add = |suffix: &str, label: Option<(&str, f64)>| {
        found(key(name, suffix, &labels, label.filter(|(name, _)| !is_removed(name))));
    };
    match shape {
        Shape::Single => add("", None),
        Shape::Summary => {
            let quantiles = metric.summary.iter().flat_map(|summary| &summary.quantiles);
            quantiles.for_each(|quantile| add("", Some(("quantile", quantile.quantile))));
        }
        Shape::Histogram => {
            let buckets = metric.histogram.iter().flat_map(|histogram| &histogram.buckets);
            let mut bounds: Vec<f64> = buckets.map(|bucket| bucket.upper_bound).collect();
            // The text format adds this bucket if it is missing.
            if !bounds.contains(&f64::INFINITY) {
                bounds.push(f64::INFINITY);
            }
            bounds.into_iter().for_each(|bound| add("_bucket", Some(("le", bound))));
        }
    }
    if shape != Shape::Single {
        add("_sum", None);
        add("_count", None);
    }
}

fn key(name: &[u8], suffix: &str, labels: &[&Label], label: Option<(&str, f64)>) -> Vec<u8> {
    let mut key = [name, suffix.as_bytes()].concat();
    let mut add = |name: &[u8], value: &[u8]| {
        // The lengths make the key unambiguous, whatever the bytes are.
        for part in [name, value] {
            key.extend_from_slice(&(part.len() as u64).to_le_bytes());
            key.extend_from_slice(part);
        }
    };
    for label in labels {
        add(&label.name, &label.value);
    }
    if let Some((name, value)) = label {
        // Prometheus writes 0 for -0, and NaN for each NaN.
        let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
        add(name.as_bytes(), &value.to_bits().to_le_bytes());
    }
    key
}

/// Returns the labels of a metric.
pub(super) fn labels(metric: Metric) -> std::collections::BTreeMap<Vec<u8>, Vec<u8>> {
    let bytes = |bytes: Bytes| bytes.to_vec();
    metric.labels.into_iter().map(|label| (bytes(label.name), bytes(label.value))).collect()
}
