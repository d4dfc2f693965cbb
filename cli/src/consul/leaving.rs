//! Announces that a gateway leaves, before its registration is removed: what follows Consul then does not take it for one that
//! vanished.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::client::Consul;

/// Meta key of a registration that is removed soon; the value is `true`.
pub(crate) const LEAVING: &str = "pushring-leaving";
/// Fields of a registration; the agent keeps its checks.
const FIELDS: [&str; 8] =
    ["ID", "Tags", "Address", "TaggedAddresses", "Meta", "Port", "Weights", "EnableTagOverride"];
/// Longest wait until the catalog has what the agent has; usually milliseconds.
const SYNC: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
/// Time for everyone who waits for a change of the catalog to read it, also from other datacenters.
const SEEN: Duration = Duration::from_secs(1);

impl Consul {
    /// Announces that services at this agent leave, and waits until others know.
    ///
    /// # Errors
    /// The agent cannot be reached or rejects a request; nothing was removed.
    pub(crate) fn announce_leaving(&self, service: &str, ids: &[&str]) -> anyhow::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        for id in ids {
            let known = self.service(id)?;
            self.update(&leaving(&known))?;
        }
        let began = Instant::now();
        while !self.all_leave(service, ids)? && began.elapsed() < SYNC {
            thread::sleep(POLL);
        }
        thread::sleep(SEEN);
        Ok(())
    }

    fn all_leave(&self, service: &str, ids: &[&str]) -> anyhow::Result<bool> {
        let entries = self.entries(service, None)?;
        let leaving: Vec<String> =
            entries.into_iter().flatten().filter_map(|entry| entry.leaving_id()).collect();
        Ok(ids.iter().all(|id| leaving.iter().any(|leaving| leaving == id)))
    }
}

/// Returns the definition of a service that leaves.
fn leaving(known: &Map<String, Value>) -> Value {
    let mut definition: Map<String, Value> =
        FIELDS.iter().filter_map(|field| Some(((*field).to_owned(), known.get(*field)?.clone()))).collect();
    definition.insert("Name".to_owned(), known.get("Service").cloned().unwrap_or_default());
    let mut meta = definition.get("Meta").and_then(Value::as_object).cloned().unwrap_or_default();
    meta.insert(LEAVING.to_owned(), json!("true"));
    definition.insert("Meta".to_owned(), meta.into());
    definition.into()
}
