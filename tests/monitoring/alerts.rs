//! The receiver of Alertmanager's messages, which remembers what each alert did.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use pushring_harness::{alertmanager, poll_until};
use serde_json::Value;

use crate::observers::PROMETHEUS;

/// Labels of an alert as text, and whether it fires.
type States = BTreeMap<String, State>;

#[derive(Clone, Debug)]
struct State {
    labels: Value,
    fires: bool,
    resolved: bool,
}

/// Listens until the program ends.
pub(crate) struct Alerts {
    pub(crate) address: SocketAddr,
    states: Arc<Mutex<States>>,
}

impl Alerts {
    pub(crate) fn receive() -> Result<Self> {
        let states: Arc<Mutex<States>> = Arc::default();
        let received = Arc::clone(&states);
        let address = alertmanager::receive(move |alert| {
            let mut states = received.lock().unwrap_or_else(PoisonError::into_inner);
            let labels = alert["labels"].clone();
            let fires = alert["status"] == "firing";
            let state = states.entry(labels.to_string()).or_insert(State { labels, fires, resolved: false });
            state.fires = fires;
            state.resolved |= !fires;
        })?;
        Ok(Self { address, states })
    }

    /// Waits until both Prometheus report that the alert fires, with this text in one of its labels.
    #[track_caller]
    pub(crate) fn wait_firing(&self, name: &str, label: &str) {
        self.wait(name, label, "to fire", |all| !all.is_empty() && all.iter().any(|state| state.fires));
    }

    /// Waits until both Prometheus report that the alert has resolved, whatever its labels.
    #[track_caller]
    pub(crate) fn wait_resolved(&self, name: &str) {
        self.wait(name, "", "to resolve", |all| all.iter().all(|state| !state.fires));
    }

    /// Waits until no alert of these severities fires.
    pub(crate) fn wait_quiet(&self, severities: &[&str]) {
        poll_until("no alert to fire", || self.firing(severities).is_empty().then_some(()))
            .unwrap_or_else(|error| panic!("{error:#}\n{:#?}", self.firing(severities)));
    }

    /// Returns the labels of all alerts of these severities that fire.
    pub(crate) fn firing(&self, severities: &[&str]) -> Vec<Value> {
        self.all()
            .into_iter()
            .filter(|state| state.fires && is_of(state, severities))
            .map(|state| state.labels)
            .collect()
    }

    /// Returns the labels of all alerts of these severities that fired at any time.
    pub(crate) fn fired(&self, severities: &[&str]) -> Vec<Value> {
        self.all().into_iter().filter(|state| is_of(state, severities)).map(|state| state.labels).collect()
    }

    /// Returns whether the alert has fired and resolved in both Prometheus.
    pub(crate) fn has_resolved(&self, name: &str) -> bool {
        let all = self.all();
        PROMETHEUS.iter().all(|(version, _)| {
            all.iter().any(|state| {
                state.resolved && state.labels["alertname"] == name && state.labels["prometheus"] == *version
            })
        })
    }

    fn all(&self) -> Vec<State> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    #[track_caller]
    fn wait(&self, name: &str, label: &str, what: &str, is_met: impl Fn(&[&State]) -> bool) {
        let met = || {
            let all = self.all();
            let of = |version: &str| -> Vec<&State> {
                let matches = |state: &&State| {
                    state.labels["alertname"] == name
                        && state.labels["prometheus"] == version
                        && state.labels.as_object().is_some_and(|labels| {
                            labels
                                .values()
                                .any(|value| value.as_str().is_some_and(|value| value.contains(label)))
                        })
                };
                all.iter().filter(matches).collect()
            };
            PROMETHEUS.iter().all(|(version, _)| is_met(&of(version))).then_some(())
        };
        poll_until(&format!("{name} {label} {what}"), met).unwrap_or_else(|error| {
            panic!("{error:#}\nfiring: {:#?}", self.firing(&["critical", "warning", "info"]))
        });
    }
}

fn is_of(state: &State, severities: &[&str]) -> bool {
    state.labels["severity"].as_str().is_some_and(|severity| severities.contains(&severity))
}
