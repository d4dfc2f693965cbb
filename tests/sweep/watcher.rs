//! Reads all gateways repeatedly and fails if the newest value of a family is on no gateway.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use pushring_harness::http::Client;
use serde_json::Value;

type Labels = BTreeMap<String, String>;
/// The newest time stamp of each family of each group, over all gateways.
type Newest = HashMap<(Labels, String), String>;

/// Groups that a client deleted may be missing.
#[derive(Default)]
pub(crate) struct Watcher {
    deleted: Mutex<Vec<Labels>>,
    stop: AtomicBool,
}

impl Watcher {
    /// Allows the group to be missing from now on.
    pub(crate) fn forget(&self, labels: &Labels) {
        self.deleted.lock().unwrap().push(labels.clone());
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Watches until it is stopped; returns the number of rounds.
    pub(crate) fn watch(&self, gateways: &[SocketAddr]) -> usize {
        let clients: Vec<Client> = gateways.iter().map(|address| Client::new(*address).unwrap()).collect();
        let mut known = Newest::new();
        let mut rounds = 0;
        while !self.stop.load(Ordering::Relaxed) {
            // The gateways are read one after another, so a group may be pushed to one and deleted from another in
            // between. A second read decides, because no group returns to the gateway from which it was deleted.
            let mut missing = self.missing(&known, &read(&clients));
            let again = read(&clients);
            missing.retain(|key| again.get(key).is_none_or(|stamp| *stamp < known[key]));
            assert_eq!(missing, [], "the newest value of these was on no gateway");
            for (key, stamp) in again {
                let newest = known.entry(key).or_default();
                if stamp > *newest {
                    *newest = stamp;
                }
            }
            rounds += 1;
        }
        rounds
    }

    fn missing(&self, known: &Newest, found: &Newest) -> Vec<(Labels, String)> {
        let gone = known.iter().filter(|(key, stamp)| found.get(*key).is_none_or(|found| found < *stamp));
        let deleted = self.deleted.lock().unwrap();
        gone.map(|(key, _)| key.clone()).filter(|(labels, _)| !deleted.contains(labels)).collect()
    }
}

fn read(clients: &[Client]) -> Newest {
    let mut newest = Newest::new();
    for client in clients {
        let answer = client.get("/api/v1/metrics").unwrap().json().unwrap();
        for group in answer["data"].as_array().unwrap() {
            let labels: Labels = serde_json::from_value(group["labels"].clone()).unwrap();
            let families = group.as_object().unwrap().iter();
            for (name, stamp) in families.filter_map(|(name, family)| Some((name, stamp(family)?))) {
                let known = newest.entry((labels.clone(), name.clone())).or_default();
                if stamp > *known {
                    *known = stamp;
                }
            }
        }
    }
    newest
}

/// Formats a time stamp so that the order of texts is the order of times. All gateways use the clock of this machine.
fn stamp(family: &Value) -> Option<String> {
    let stamp: jiff::Timestamp = family.get("time_stamp")?.as_str()?.parse().ok()?;
    Some(format!("{stamp:.9}"))
}
