//! Finds what Prometheus rejects or drops in the exposition of a gateway that answers `/metrics`.
//!
//! The rules are those of Prometheus 3 for its text format, and for protobuf, in which it reads native histograms. The
//! test `tests/groups/kinds.rs` compares them with a real Prometheus.

mod metric;
mod native;
mod repeated;
mod scraper;
mod series;

use std::collections::HashMap;

use anyhow::Context;
use prost::Message;

use self::metric::{Label, Metric};
use self::series::Shape;
use super::scrape_error::Bytes;
use crate::gateway::api::{PUSH_FAILED, PUSH_TIME};
use crate::gateway::exposition::{Family, check_fields};
use crate::memory;
use crate::reason::{Code, Reason};

/// Maximum number of problems of one gateway: enough for a report, and each costs time.
const MAX_PROBLEMS: usize = 1000;
/// Most labels of a metric.
const MAX_FIELDS: usize = 1 << 16;

/// A problem that some groups cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) family: Vec<u8>,
    pub(super) reason: Reason,
    pub(super) cause: Cause,
}

/// The groups that cause a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The groups with this `# HELP` text, among those with these metrics.
    Help(Vec<Bytes>),
    /// The groups with an unknown type, among those with these metrics.
    Type(Vec<Bytes>),
    /// All groups with these metrics.
    Metrics(Vec<Bytes>),
    /// All but one of the groups with these metrics, each with the name of its family.
    Duplicates(Vec<(Vec<u8>, Bytes)>),
}

/// The problems of an exposition, and its groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Exposed {
    pub(super) problems: Vec<Problem>,
    /// Labels of all groups as exposed, with the time of the last accepted push: the gateway sets this gauge.
    pub(super) groups: Vec<(Bytes, f64)>,
    /// Labels of the groups that have the gauge of the last rejected push, which a client can replace.
    pub(super) rejected: Vec<Bytes>,
    /// `# HELP` texts that are UTF-8, by family. Families of the gateway itself are omitted: their texts are fixed.
    pub(super) helps: HashMap<Vec<u8>, String>,
    /// Families of the gateway itself, with their `# HELP` text and type.
    pub(super) own: HashMap<String, (String, &'static str)>,
}

/// Checks all families.
///
/// # Errors
/// The exposition is incomplete or cannot be read.
pub(super) fn check(families: impl Iterator<Item = anyhow::Result<Family>>) -> anyhow::Result<Exposed> {
    let mut exposed = Exposed::default();
    let mut all = Vec::new();
    for family in families {
        let family = family?;
        let metrics: anyhow::Result<Vec<Metric>> = family.raw_metrics().iter().map(decode).collect();
        let metrics = metrics.with_context(|| format!("a metric of {:?}", family.name()))?;
        if family.name() == PUSH_TIME {
            let group = |metric: &Metric| (series::exact(metric), value(metric));
            exposed.groups.extend(metrics.iter().map(group));
        } else if family.name() == PUSH_FAILED {
            exposed.rejected.extend(metrics.iter().map(series::exact));
        }
        exposed.family(&family, &metrics);
        exposed.metrics(&family, &metrics);
        all.push((family, metrics));
    }
    repeated::check(&all, |problem| exposed.add(problem));
    Ok(exposed)
}

/// Returns why Prometheus rejects a whole exposition with this metric; `kind` is the type of its family as the API names it.
pub(crate) fn rejection(family: &str, kind: &str, raw: &prost::bytes::Bytes) -> Option<Reason> {
    let Ok(metric) = decode_unmetered(raw) else {
        return Some(Code::InvalidMetric.because("its bytes are not a metric"));
    };
    if family.is_empty() || family.contains('\0') {
        return Some(Code::InvalidName.because("the name of the family is empty or contains a NUL byte"));
    }
    let shape = shape_of(kind);
    let is_repeated = |label: &Label| *label.name == *b"quantile" && !label.value.is_empty();
    if shape == Shape::Summary && metric.labels.iter().any(is_repeated) {
        let text = "a summary has the label `quantile`, which each of its quantiles has, too";
        return Some(Code::RepeatedLabel.because(text));
    }
    metric_error(shape, &metric)
}

fn decode(raw: &prost::bytes::Bytes) -> anyhow::Result<Metric> {
    let metric = decode_unmetered(raw)?;
    memory::charge(2 * size_of::<Metric>() + metric.labels.len() * size_of::<Label>() + 4 * raw.len())?;
    Ok(metric)
}

fn decode_unmetered(raw: &prost::bytes::Bytes) -> anyhow::Result<Metric> {
    check_fields(raw, MAX_FIELDS)?;
    Ok(Metric::decode(raw.clone())?)
}

impl Exposed {
    fn add(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn of_family(&mut self, family: &Family, reason: Reason, cause: Cause) {
        let reason =
            reason.code.because(format!("{}: {reason}", String::from_utf8_lossy(family.name_bytes())));
        self.add(Problem { family: family.name_bytes().to_vec(), reason, cause });
    }

    /// Checks what concerns all metrics of a family.
    fn family(&mut self, family: &Family, metrics: &[Metric]) {
        match std::str::from_utf8(family.help()) {
            Ok(help) if metrics.iter().all(has_job) => {
                self.helps.insert(family.name_bytes().to_vec(), help.to_owned());
            }
            Ok(help) => {
                self.own.insert(family.name().to_owned(), (help.to_owned(), family.kind()));
            }
            Err(_) => {
                let reason = Code::NotUtf8.because("the # HELP text is not UTF-8");
                self.of_family(family, reason, Cause::Help(all(metrics)));
            }
        }
        let name = family.name_bytes();
        let reason = if name.is_empty() {
            Code::InvalidName.because("the family has no name: the text format ends before it")
        } else if std::str::from_utf8(name).is_err() {
            Code::NotUtf8.because("the name of the family is not UTF-8")
        } else if name.contains(&0) {
            Code::InvalidName.because("the name of the family contains a NUL byte")
        } else {
            if family.kind().is_empty() {
                let reason = Code::UnknownType
                    .because("the type of the family is unknown: the text format ends at it");
                self.of_family(family, reason, Cause::Type(all(metrics)));
            }
            return;
        };
        self.of_family(family, reason, Cause::Metrics(all(metrics)));
    }

    /// Checks the metrics of a family one by one.
    fn metrics(&mut self, family: &Family, metrics: &[Metric]) {
        let shape = shape(family);
        for metric in metrics {
            if let Some(reason) = metric_error(shape, metric) {
                self.of_family(family, reason, Cause::Metrics(vec![series::exact(metric)]));
            }
        }
    }
}

fn shape(family: &Family) -> Shape {
    shape_of(family.kind())
}

fn shape_of(kind: &str) -> Shape {
    match kind {
        "SUMMARY" => Shape::Summary,
        "HISTOGRAM" | "GAUGE_HISTOGRAM" => Shape::Histogram,
        _ => Shape::Single,
    }
}

fn metric_error(shape: Shape, metric: &Metric) -> Option<Reason> {
    if metric.labels.iter().any(|label| label.name.contains(&0)) {
        return Some(Code::InvalidName.because("the name of a label contains a NUL byte"));
    }
    if metric.labels.iter().any(|label| scraper::DEFAULT.ends_at_colon(&label.name)) {
        return Some(
            Code::InvalidName.because("the name of a label contains a colon: the text format ends at it"),
        );
    }
    if shape != Shape::Histogram {
        return None;
    }
    let Some(histogram) = &metric.histogram else {
        let text = "a metric of a histogram family is no histogram: the text format ends at it";
        return Some(Code::InvalidMetric.because(text));
    };
    if metric.labels.iter().any(|label| *label.name == *b"le" && !label.value.is_empty()) {
        return Some(
            Code::RepeatedLabel.because("a histogram has the label `le`, which each of its buckets has, too"),
        );
    }
    let text = native::error(histogram)?;
    let scrapes = "a Prometheus that scrapes native histograms rejects it";
    Some(Code::InvalidHistogram.because(format!("{scrapes}: {text}")))
}

fn all(metrics: &[Metric]) -> Vec<Bytes> {
    metrics.iter().take(MAX_PROBLEMS).map(series::exact).collect()
}

/// The gateway's own metrics have no job.
fn has_job(metric: &Metric) -> bool {
    metric.labels.iter().any(|label| *label.name == *b"job")
}

fn value(metric: &Metric) -> f64 {
    metric.gauge.as_ref().map_or(0.0, |gauge| gauge.value)
}
