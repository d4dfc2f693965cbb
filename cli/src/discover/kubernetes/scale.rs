//! Pods that end because their StatefulSet was scaled in: they leave, but a pod that was deleted or evicted comes back.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use tracing::warn;

use crate::fleet::registration::Registration;
use crate::http::AnswerLimits;
use crate::kubernetes::client::{Failure, Kubernetes};

/// Status of the endpoint of a pod that ends.
pub(super) const TERMINATING: &str = "terminating";
/// A gateway that ends must leave the ring soon, whether it leaves or comes back.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The StatefulSets of a namespace.
pub(super) struct StatefulSets {
    pub(super) api: Kubernetes,
    /// Whether an error was logged: the account may lack the right to read them, which is optional.
    refused: Cell<bool>,
}

#[derive(Deserialize)]
struct StatefulSet {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    /// Absent: 1.
    replicas: Option<u64>,
    ordinals: Option<Ordinals>,
}

#[derive(Deserialize)]
struct Ordinals {
    #[serde(default)]
    start: u64,
}

impl StatefulSets {
    pub(super) fn new(api: Kubernetes) -> Self {
        Self { api, refused: Cell::new(false) }
    }

    /// Marks the pods that end and whose StatefulSet no longer has them. A pod whose set cannot be read counts as one that
    /// comes back, so that the guard still counts it.
    pub(super) fn mark_leaving(&self, found: &mut [Registration]) {
        let mut sets: BTreeMap<String, Option<Range<u64>>> = BTreeMap::new();
        for pod in found.iter_mut().filter(|pod| pod.status == TERMINATING) {
            let Some((set, ordinal)) = set_and_ordinal(&pod.id) else { continue };
            let pods = sets.entry(set.to_owned()).or_insert_with(|| self.pods(set));
            pod.leaving = pods.as_ref().is_some_and(|pods| !pods.contains(&ordinal));
        }
    }

    /// Returns the ordinals of the pods that a StatefulSet has; `None` if they are not known.
    fn pods(&self, set: &str) -> Option<Range<u64>> {
        match self.read(set) {
            Ok(StatefulSet { spec }) => {
                let start = spec.ordinals.map_or(0, |ordinals| ordinals.start);
                Some(start..start.saturating_add(spec.replicas.unwrap_or(1)))
            }
            // A pod of another kind may have such a name.
            Err(error) if Failure::is(&error, StatusCode::NOT_FOUND) => None,
            Err(error) => {
                if !self.refused.replace(true) {
                    warn!(
                        error = format!("{error:#}"),
                        "StatefulSet not read; pods that it was scaled in by count as vanished (--forget)"
                    );
                }
                None
            }
        }
    }

    fn read(&self, set: &str) -> anyhow::Result<StatefulSet> {
        let url = self.api.url("apps", "v1", "statefulsets", Some(set));
        let request = self.api.client().get(url).timeout(TIMEOUT);
        self.api.send(request, AnswerLimits::of_agent(TIMEOUT))?.json("a Kubernetes API server")
    }
}

/// Splits the name of a pod such as `pushgateway-1`.
fn set_and_ordinal(pod: &str) -> Option<(&str, u64)> {
    let (set, ordinal) = pod.rsplit_once('-')?;
    Some((set, ordinal.parse().ok()?)).filter(|_| !set.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pods() {
        assert_eq!(set_and_ordinal("pushgateway-1"), Some(("pushgateway", 1)));
        assert_eq!(set_and_ordinal("a-b-12"), Some(("a-b", 12)));
        for other in ["", "1", "-1", "a-", "pushgateway-6d5f-x2", "a-99999999999999999999"] {
            assert_eq!(set_and_ordinal(other), None, "{other}");
        }
    }
}
