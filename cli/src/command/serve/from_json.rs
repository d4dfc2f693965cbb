//! Metrics from the JSON of a gateway's API, for a gateway whose `/metrics` fails. Exact for all types but native histograms.

use std::collections::BTreeMap;

use prost::Message;
use prost::bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::metric::{Bucket, Histogram, Label, Metric, Quantile, Summary, Value};
use crate::gateway::api::Labels;
use crate::parse;

/// The `# HELP` texts of a Pushgateway's own two families.
pub(super) const PUSH_TIME_HELP: &str =
    "Last Unix time when changing this group in the Pushgateway succeeded.";
pub(super) const PUSH_FAILED_HELP: &str =
    "Last Unix time when changing this group in the Pushgateway failed.";

#[derive(Deserialize)]
struct Listed {
    labels: Labels,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    count: Option<String>,
    #[serde(default)]
    sum: Option<String>,
    #[serde(default)]
    quantiles: Option<BTreeMap<String, String>>,
    #[serde(default)]
    buckets: Option<serde_json::Value>,
}

/// Converts the metrics of a family. `None`: they are not complete in JSON.
pub(super) fn metrics(kind: &str, json: &RawValue) -> Option<Vec<Bytes>> {
    let listed: Vec<Listed> = parse::json(json.get()).ok()?;
    listed.into_iter().map(|metric| convert(kind, metric)).collect()
}

/// Returns a gauge with the labels of a group.
pub(super) fn gauge(labels: &Labels, value: f64) -> Bytes {
    let mut labels = labels.clone();
    labels.entry("instance".to_owned()).or_default();
    encode(&Metric { labels: pairs(labels), gauge: Some(Value { value: Some(value) }), ..Metric::default() })
}

pub(super) fn encode(metric: &Metric) -> Bytes {
    Bytes::from(metric.encode_to_vec())
}

fn convert(kind: &str, listed: Listed) -> Option<Bytes> {
    let value = || Some(Value { value: Some(number(listed.value.as_deref()?)?) });
    let mut metric = Metric::default();
    match kind {
        "COUNTER" => metric.counter = Some(value()?),
        "GAUGE" => metric.gauge = Some(value()?),
        "UNTYPED" => metric.untyped = Some(value()?),
        "SUMMARY" => {
            let quantiles = pairs_of_numbers(listed.quantiles.as_ref()?)?;
            let quantile = |(quantile, value)| Quantile { quantile: Some(quantile), value: Some(value) };
            metric.summary = Some(Summary {
                count: Some(listed.count.as_deref()?.parse().ok()?),
                sum: Some(number(listed.sum.as_deref()?)?),
                quantiles: quantiles.into_iter().map(quantile).collect(),
            });
        }
        "HISTOGRAM" => metric.histogram = Some(histogram(&listed)?),
        _ => return None,
    }
    metric.labels = pairs(listed.labels);
    Some(encode(&metric))
}

fn histogram(listed: &Listed) -> Option<Histogram> {
    // A list, not an object, is that of a native histogram.
    let buckets = listed.buckets.as_ref()?.as_object()?;
    let bucket = |(bound, count): (&String, &serde_json::Value)| {
        let (count, count_float) = count_of(count.as_str()?);
        Some(Bucket { count, count_float, upper_bound: Some(number(bound)?) })
    };
    let mut buckets: Vec<Bucket> = buckets.iter().map(bucket).collect::<Option<_>>()?;
    buckets.sort_by(|a, b| a.upper_bound().total_cmp(&b.upper_bound()));
    let (count, count_float) = count_of(listed.count.as_deref()?);
    Some(Histogram { count, count_float, sum: Some(number(listed.sum.as_deref()?)?), buckets })
}

/// Returns a count as a whole number, or else as a float.
fn count_of(text: &str) -> (Option<u64>, Option<f64>) {
    match text.parse() {
        Ok(count) => (Some(count), None),
        Err(_) => (None, number(text)),
    }
}

/// Converts an object of numbers to pairs, sorted.
fn pairs_of_numbers(object: &BTreeMap<String, String>) -> Option<Vec<(f64, f64)>> {
    let mut pairs: Vec<_> =
        object.iter().map(|(name, value)| Some((number(name)?, number(value)?))).collect::<Option<_>>()?;
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    Some(pairs)
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn pairs(labels: Labels) -> Vec<Label> {
    labels.into_iter().map(|(name, value)| Label::new(name, value)).collect()
}
