//! The families that this run pushed to a gateway since its contents were read.
//!
//! Two groups with different sources may conflict with each other. A gateway with `--push.disable-consistency-check` would
//! accept both and then respond with 500 to every scrape.

use std::collections::{HashMap, HashSet};

use crate::gateway::family_types::collision;
use crate::transfer::gateway_state::{ListedGroup, Series};

#[derive(Debug, Default)]
pub(super) struct Pushed {
    /// Type of each family.
    kinds: HashMap<String, String>,
    series: HashMap<String, HashSet<Series>>,
}

impl Pushed {
    /// Adds families of a group, unless they might conflict with those of another. Returns whether it added them.
    pub(super) fn admit(&mut self, group: &ListedGroup, names: &[String]) -> bool {
        let families = names.iter().filter_map(|name| Some((name, group.families.get(name)?)));
        let conflicts = |(name, family): (&String, &crate::gateway::api::Family<Vec<Series>>)| {
            let other_kind = self.kinds.get(name).is_some_and(|kind| *kind != family.kind);
            let kinds = |name: &str| self.kinds.get(name).map(String::as_str);
            let is_part = collision(name, &family.kind, kinds).is_some();
            let known = self.series.get(name);
            let repeats =
                known.is_some_and(|known| family.metrics.iter().any(|series| known.contains(series)));
            other_kind || is_part || repeats
        };
        if families.clone().any(conflicts) {
            return false;
        }
        for (name, family) in families {
            self.kinds.insert(name.clone(), family.kind.clone());
            self.series.entry(name.clone()).or_default().extend(family.metrics.iter().cloned());
        }
        true
    }
}
