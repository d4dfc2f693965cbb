//! Finds what Prometheus rejects or drops in the exposition of a gateway that answers `/metrics`.
//!
//! The rules are those of Prometheus 3 for its text format, and for protobuf, in which it reads native histograms. The
//! test `tests/groups/kinds.rs` compares them with a real Prometheus.

mod metric;
mod native;
mod series;

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::Context;
use prost::Message;

use self::metric::Metric;
use self::series::Shape;
use super::scrape_error::Bytes;
use crate::gateway::api::{PUSH_FAILED, PUSH_TIME};
use crate::gateway::exposition::Family;
use crate::reason::{Code, Reason};

/// Maximum number of problems of one gateway: enough for a report, and each costs time.
const MAX_PROBLEMS: usize = 1000;

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
    /// All but one of the groups with these metrics.
    Duplicates([Bytes; 2]),
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
}

/// Checks all families.
///
/// # Errors
/// The exposition is incomplete or cannot be read.
pub(super) fn check(families: impl Iterator<Item = anyhow::Result<Family>>) -> anyhow::Result<Exposed> {
    let mut exposed = Exposed::default();
    let mut known = HashMap::new();
    for family in families {
        let family = family?;
        let metrics: Result<Vec<Metric>, _> =
            family.raw_metrics().iter().map(|raw| Metric::decode(raw.clone())).collect();
        let metrics = metrics.with_context(|| format!("a metric of {:?}", family.name()))?;
        if family.name() == PUSH_TIME {
            let group = |metric: &Metric| (series::labels(metric.clone()), value(metric));
            exposed.groups.extend(metrics.iter().map(group));
        } else if family.name() == PUSH_FAILED {
            exposed.rejected.extend(metrics.iter().cloned().map(series::labels));
        }
        exposed.family(&family, &metrics);
        exposed.series(&family, metrics, &mut known);
    }
    Ok(exposed)
}

impl Exposed {
    fn add(&mut self, family: &Family, reason: Reason, cause: Cause) {
        if self.problems.len() < MAX_PROBLEMS {
            let reason =
                reason.code.because(format!("{}: {reason}", String::from_utf8_lossy(family.name_bytes())));
            self.problems.push(Problem { family: family.name_bytes().to_vec(), reason, cause });
        }
    }

    /// Checks what concerns all metrics of a family.
    fn family(&mut self, family: &Family, metrics: &[Metric]) {
        match std::str::from_utf8(family.help()) {
            Ok(help) if metrics.iter().all(has_job) => {
                self.helps.insert(family.name_bytes().to_vec(), help.to_owned());
            }
            Ok(_) => {}
            Err(_) => {
                let reason = Code::NotUtf8.because("the # HELP text is not UTF-8");
                self.add(family, reason, Cause::Help(all(metrics)));
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
                self.add(family, reason, Cause::Type(all(metrics)));
            }
            return;
        };
        self.add(family, reason, Cause::Metrics(all(metrics)));
    }

    /// Checks the metrics of a family one by one. `known` has the series of earlier metrics.
    fn series(&mut self, family: &Family, metrics: Vec<Metric>, known: &mut HashMap<Vec<u8>, Rc<Bytes>>) {
        let shape = match family.kind() {
            "SUMMARY" => Shape::Summary,
            "HISTOGRAM" | "GAUGE_HISTOGRAM" => Shape::Histogram,
            _ => Shape::Single,
        };
        for metric in metrics {
            let error = metric_error(shape, &metric);
            let mut repeated = None;
            let labels = Rc::new(series::labels(metric.clone()));
            series::each(family.name_bytes(), shape, &metric, |series| {
                repeated = known.insert(series, Rc::clone(&labels)).or(repeated.take());
            });
            if let Some(reason) = error {
                self.add(family, reason, Cause::Metrics(vec![labels.as_ref().clone()]));
            }
            if let Some(earlier) = repeated {
                let text = "Prometheus stores only one of two samples of a series (labels with an empty value are no \
                            labels)";
                self.add(
                    family,
                    Code::SeriesConflict.because(text),
                    Cause::Duplicates([earlier, labels].map(|labels| labels.as_ref().clone())),
                );
            }
        }
    }
}

fn metric_error(shape: Shape, metric: &Metric) -> Option<Reason> {
    if metric.labels.iter().any(|label| label.name.contains(&0)) {
        return Some(Code::InvalidName.because("the name of a label contains a NUL byte"));
    }
    if metric.labels.iter().any(|label| is_bare_with_colon(&label.name)) {
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

/// The gateway puts a name in quotes unless it is valid for a family, for which a colon is valid.
fn is_bare_with_colon(name: &[u8]) -> bool {
    name.contains(&b':')
        && !name[0].is_ascii_digit()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(byte))
}

fn all(metrics: &[Metric]) -> Vec<Bytes> {
    metrics.iter().take(MAX_PROBLEMS).map(|metric| series::labels(metric.clone())).collect()
}

/// The gateway's own metrics have no job.
fn has_job(metric: &Metric) -> bool {
    metric.labels.iter().any(|label| *label.name == *b"job")
}

fn value(metric: &Metric) -> f64 {
    metric.gauge.as_ref().map_or(0.0, |gauge| gauge.value)
}
