//! Facts about metrics that remote write 1.0 sends apart from the series.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pushring_index::Metadata;

/// Most metrics of all tenants. The facts of further ones are not kept.
const MOST: usize = 200_000;
/// Ends of the names of series that belong to the metric without them.
const SUFFIXES: [&str; 4] = ["_bucket", "_count", "_sum", "_total"];

/// By tenant and name of the metric.
#[derive(Debug, Default)]
pub(super) struct Families(Mutex<HashMap<String, HashMap<String, Metadata>>>);

impl Families {
    pub(super) fn learn(&self, tenant: &str, facts: Vec<(String, Metadata)>) {
        if facts.is_empty() {
            return;
        }
        let mut all = self.lock();
        let mut room = MOST.saturating_sub(all.values().map(HashMap::len).sum());
        let of = all.entry(tenant.to_owned()).or_default();
        for (family, metadata) in facts {
            if let Some(known) = of.get_mut(&family) {
                *known = metadata;
            } else if room > 0 {
                room -= 1;
                of.insert(family, metadata);
            }
        }
    }

    /// Returns the facts of the metric of a series.
    pub(super) fn of(&self, tenant: &str, metric: &str) -> Option<Metadata> {
        let all = self.lock();
        let of = all.get(tenant)?;
        let without = || SUFFIXES.iter().find_map(|suffix| of.get(metric.strip_suffix(suffix)?));
        of.get(metric).or_else(without).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashMap<String, Metadata>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
