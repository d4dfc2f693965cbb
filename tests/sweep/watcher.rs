//! Reads all gateways again and again, and fails when the newest value of a family is on none of them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use pushring_harness::http::Client;
use serde_json::Value;

type Labels = BTreeMap<String, String>;
/// The newest time stamp of each family of each group, over all gateways.
type Newest = HashMap<(Labels, String), String>;

/// What a client deleted may be missing.
#[derive(Default)]
pub(crate) struct Watcher {
    deleted: Mutex<Vec<Labels>>,
    stop: AtomicBool,
}

impl Watcher {
    /// From now on the group may be missing.
    pub(crate) fn forget(&self, labels: &Labels) {
        self.deleted.lock().unwrap().push(labels.clone());
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Watches until told to stop; gives the number of rounds.
    pub(crate) fn watch(&self, gateways: &[SocketAddr]) -> usize {
        let clients: Vec<Client> = gateways.iter().map(|address| Client::new(*address).unwrap()).collect();
        let mut known = Newest::new();
        let mut rounds = 0;
        while !self.stop.load(Ordering::Relaxed) {
            // A value is pushed to one gateway and then deleted from another while they are read one after the other:
            // what seems missing is looked for once more, since nothing ever goes back to where it was deleted.
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

/// To the nanosecond and of one length, so that texts compare as times do; all gateways share this machine's clock.
fn stamp(family: &Value) -> Option<String> {
    let stamp: jiff::Timestamp = family.get("time_stamp")?.as_str()?.parse().ok()?;
    Some(format!("{stamp:.9}"))
}
