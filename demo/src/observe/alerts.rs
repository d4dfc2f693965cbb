//! Receives Alertmanager's messages and prints them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use pushring_harness::alertmanager;
use serde_json::Value;

use crate::screen;

/// Fingerprints of the alerts that fire, by name.
type Firing = BTreeMap<String, BTreeSet<String>>;

/// Listens until the program ends.
#[derive(Debug)]
pub(super) struct Alerts {
    pub(super) address: SocketAddr,
    firing: Arc<Mutex<Firing>>,
}

impl Alerts {
    pub(super) fn receive() -> Result<Self> {
        let firing: Arc<Mutex<Firing>> = Arc::default();
        let received = Arc::clone(&firing);
        let address = alertmanager::receive(move |alert| {
            note(&mut received.lock().unwrap_or_else(PoisonError::into_inner), alert);
        })?;
        Ok(Self { address, firing })
    }

    pub(super) fn fires(&self, name: &str) -> bool {
        let firing = self.firing.lock().unwrap_or_else(PoisonError::into_inner);
        firing.get(name).is_some_and(|alerts| !alerts.is_empty())
    }
}

/// Prints the news of an alert.
fn note(firing: &mut Firing, alert: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (labels, name) = (&alert["labels"], text(&alert["labels"]["alertname"]));
    let all = firing.entry(name.clone()).or_default();
    let fingerprint = text(&alert["fingerprint"]);
    let fires = alert["status"] == "firing";
    let is_news = if fires { all.insert(fingerprint) } else { all.remove(&fingerprint) };
    if !is_news {
        return;
    }
    let severity = text(&labels["severity"]);
    if fires {
        let summary = text(&alert["annotations"]["summary"]);
        screen::problem(screen::wrap(&format!("ALERT {name} ({severity}): {summary}"), 3));
    } else {
        screen::event(screen::wrap(&format!("resolved: {name} ({severity})"), 3));
    }
}
