//! A metric family of a push, in either format, and the series that it shows.

use std::collections::BTreeSet;

use crate::{Labels, METRIC_NAME, Metadata};

use super::number::exposed;
use super::{Group, MAX_BYTES, MAX_HELP, PushError, PushLimits};

/// The types of `io.prometheus.client.MetricType`, by their numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Summary,
    Untyped,
    Histogram,
    GaugeHistogram,
}

/// All metrics of one name.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) unit: String,
    pub(super) metrics: Vec<Metric>,
}

/// A metric: of a histogram or summary, all its series.
#[derive(Clone, Debug, Default)]
pub(super) struct Metric {
    pub(super) labels: Vec<(String, String)>,
    /// Bounds of the buckets, or quantiles.
    pub(super) parts: Vec<f64>,
    pub(super) is_native: bool,
}

impl Kind {
    pub(super) fn from_number(number: u64) -> Option<Self> {
        use Kind::{Counter, Gauge, GaugeHistogram, Histogram, Summary, Untyped};
        let all = [Counter, Gauge, Summary, Untyped, Histogram, GaugeHistogram];
        usize::try_from(number).ok().and_then(|number| all.get(number)).copied()
    }

    pub(super) fn is_histogram(self) -> bool {
        matches!(self, Self::Histogram | Self::GaugeHistogram)
    }

    /// The name in the catalogue; an untyped metric is of no known type.
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
            Self::Untyped => "",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
        }
    }
}

/// The series of a push, as they come.
pub(super) struct Shown<'g> {
    group: &'g Group,
    limits: PushLimits,
    series: Vec<(Labels, Metadata)>,
    bytes: usize,
}

impl<'g> Shown<'g> {
    pub(super) fn new(group: &'g Group, limits: PushLimits) -> Self {
        Self { group, limits, series: Vec::new(), bytes: 0 }
    }

    pub(super) fn into_series(self) -> Vec<(Labels, Metadata)> {
        self.series
    }

    /// Adds the series of a family, with the labels of the group.
    pub(super) fn add(&mut self, mut family: Family) -> Result<(), PushError> {
        family.help.truncate(family.help.floor_char_boundary(MAX_HELP));
        let Family { name, kind, help, unit, metrics } = family;
        let metadata = Metadata { kind: kind.name().to_owned(), unit, help };
        for metric in metrics {
            let labels = with_group(metric.labels, self.group);
            let mut one = |suffix: &str, part| self.one(&labels, &name, suffix, part, &metadata);
            let parts: BTreeSet<String> =
                metric.parts.iter().map(|part| exposed(*part).into_owned()).collect();
            if kind == Kind::Summary {
                for quantile in parts {
                    one("", Some(("quantile", quantile)))?;
                }
            } else if kind.is_histogram() {
                if metric.is_native {
                    one("", None)?;
                    if parts.is_empty() {
                        continue;
                    }
                }
                // The text format shows the last bucket also if it was not pushed.
                for bound in parts.into_iter().chain(["+Inf".to_owned()]).collect::<BTreeSet<_>>() {
                    one("_bucket", Some(("le", bound)))?;
                }
            } else {
                one("", None)?;
                continue;
            }
            one("_sum", None)?;
            one("_count", None)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        labels: &[(String, String)],
        name: &str,
        suffix: &str,
        part: Option<(&str, String)>,
        metadata: &Metadata,
    ) -> Result<(), PushError> {
        if self.series.len() >= self.limits.series {
            return Err(PushError::TooManySeries { limit: self.limits.series });
        }
        self.bytes += labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + name.len()
            + metadata.help.len()
            + metadata.unit.len();
        if self.bytes > MAX_BYTES {
            return Err(PushError::TooLong);
        }
        let mut labels = labels.to_vec();
        labels.push((METRIC_NAME.to_owned(), format!("{name}{suffix}")));
        labels.extend(part.map(|(name, value)| (name.to_owned(), value)));
        let labels =
            Labels::new(labels).map_err(|error| PushError::Labels { metric: name.to_owned(), error })?;
        self.series.push((labels, metadata.clone()));
        Ok(())
    }
}

/// The labels of the group replace those of the metric.
fn with_group(mut labels: Vec<(String, String)>, group: &Group) -> Vec<(String, String)> {
    for (name, value) in group.iter() {
        match labels.iter_mut().find(|(label, _)| label == name) {
            Some((_, old)) => value.clone_into(old),
            None => labels.push((name.to_owned(), value.to_owned())),
        }
    }
    labels
}

/// The times of the last pushes, which a pushgateway adds to each group.
pub(super) fn push_times() -> [Family; 2] {
    [("push_time_seconds", "succeeded"), ("push_failure_time_seconds", "failed")].map(|(name, result)| {
        Family {
            name: name.to_owned(),
            kind: Kind::Gauge,
            help: format!("Last Unix time when changing this group in the Pushgateway {result}."),
            unit: String::new(),
            metrics: vec![Metric::default()],
        }
    })
}
