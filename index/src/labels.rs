//! The labels of a series, in the one order and form that its key is computed from.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::write_varint;

/// The label that holds the name of the metric.
pub const METRIC_NAME: &str = "__name__";

/// The labels of one series: sorted by the bytes of their names, no name twice, no empty value, with a metric name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "Vec<(String, String)>")]
pub struct Labels(Vec<(String, String)>);

/// The reason why labels name no series.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LabelsError {
    /// No label `__name__`, or an empty one.
    NoMetricName,
    /// Two labels have this name.
    Duplicate(String),
    /// A label with a value has no name.
    EmptyName,
}

impl Labels {
    /// Sorts labels and leaves out the empty values, as Prometheus does: a label without a value is no label.
    ///
    /// # Errors
    /// If a name is there twice (also with an empty value) or is empty, or the metric has no name.
    pub fn new(mut labels: Vec<(String, String)>) -> Result<Self, LabelsError> {
        labels.sort();
        if let Some(twice) = labels.windows(2).find(|pair| matches!(pair, [a, b] if a.0 == b.0)) {
            let name = twice.first().map(|(name, _)| name.clone()).unwrap_or_default();
            return Err(LabelsError::Duplicate(name));
        }
        labels.retain(|(_, value)| !value.is_empty());
        if labels.first().is_some_and(|(name, _)| name.is_empty()) {
            return Err(LabelsError::EmptyName);
        }
        let labels = Self(labels);
        if labels.get(METRIC_NAME).is_none() {
            return Err(LabelsError::NoMetricName);
        }
        Ok(labels)
    }

    /// Returns names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the value of a label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(label, _)| label.as_str().cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value.as_str())
    }

    /// Returns the name of the metric.
    #[must_use]
    pub fn metric(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or_default()
    }

    /// Appends the canonical form: for each label, in order, the length of its name, the name, the length of its value, the
    /// value. Lengths are varints of protobuf.
    pub fn write_canonical(&self, into: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            write_string(name.as_bytes(), into);
            write_string(value.as_bytes(), into);
        }
    }
}

/// Appends a string after its length.
pub(crate) fn write_string(bytes: &[u8], into: &mut Vec<u8>) {
    write_varint(bytes.len() as u64, into);
    into.extend_from_slice(bytes);
}

impl TryFrom<Vec<(String, String)>> for Labels {
    type Error = LabelsError;

    fn try_from(labels: Vec<(String, String)>) -> Result<Self, LabelsError> {
        Self::new(labels)
    }
}

/// Writes the series as Prometheus does: `name{label="value"}`, with escaped values.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric())?;
        let mut separator = "{";
        for (name, value) in self.iter().filter(|(name, _)| *name != METRIC_NAME) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(f, "{separator}{name}=\"{value}\"")?;
            separator = ",";
        }
        if separator == "," { f.write_str("}") } else { Ok(()) }
    }
}

impl fmt::Display for LabelsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMetricName => write!(f, "the series has no label {METRIC_NAME}"),
            Self::Duplicate(name) => write!(f, "the series has the label {name:?} twice"),
            Self::EmptyName => write!(f, "a label of the series has an empty name"),
        }
    }
}

impl std::error::Error for LabelsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Result<Labels, LabelsError> {
        Labels::new(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn sorts_by_bytes_and_leaves_out_empty_values() {
        let series = labels(&[("job", "a"), ("__name__", "up"), ("Zone", "eu"), ("empty", "")]).unwrap();
        let names: Vec<_> = series.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Zone", "__name__", "job"]);
        assert_eq!(series.metric(), "up", "a name that sorts first does not hide the metric");
        assert_eq!(series.get("empty"), None);
    }

    #[test]
    fn refuses_what_names_no_series() {
        assert_eq!(labels(&[("job", "a")]), Err(LabelsError::NoMetricName));
        assert_eq!(labels(&[("__name__", ""), ("job", "a")]), Err(LabelsError::NoMetricName));
        assert_eq!(labels(&[("__name__", "up"), ("", "x")]), Err(LabelsError::EmptyName));
        let twice = labels(&[("__name__", "up"), ("job", ""), ("job", "b")]);
        assert_eq!(twice, Err(LabelsError::Duplicate("job".into())));
    }

    #[test]
    fn writes_each_string_after_its_length() {
        let long = "x".repeat(300);
        let mut bytes = Vec::new();
        labels(&[("b", &long), ("__name__", "up")]).unwrap().write_canonical(&mut bytes);
        assert_eq!(&bytes[..12], b"\x08__name__\x02up");
        assert_eq!(&bytes[12..16], b"\x01b\xac\x02");
        assert_eq!(bytes.len(), 16 + 300);
    }

    #[test]
    fn displays_a_selector() {
        assert_eq!(labels(&[("__name__", "up")]).unwrap().to_string(), "up");
        let series = labels(&[("__name__", "up"), ("a", "q\"\\\n"), ("job", "x")]).unwrap();
        assert_eq!(series.to_string(), r#"up{a="q\"\\\n",job="x"}"#);
    }
}
