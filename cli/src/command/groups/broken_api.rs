//! Which group makes a gateway break off the answer of its API: the Pushgateway 1.11 falls over a group whose
//! `push_failure_time_seconds`, its own gauge, was pushed without a value. Scrapes go on; nothing else can be told.

use std::collections::BTreeSet;

use crate::gateway::api::{Labels, PUSH_FAILED, PUSH_TIME};
use crate::gateway::client::Gateway;
use crate::gateway::exposition::families;

/// The labels of groups that have a time of the last push but none of the last refusal, as the exposition tells them.
///
/// # Errors
/// The exposition cannot be read to its end.
pub(super) fn silencing(gateway: &Gateway) -> anyhow::Result<Vec<Labels>> {
    let mut gauges = [BTreeSet::new(), BTreeSet::new()];
    for family in families(gateway.exposition()?) {
        let family = family?;
        let Some(gauge) = [PUSH_TIME, PUSH_FAILED].iter().position(|name| family.name() == *name) else {
            continue;
        };
        for metric in family.metrics() {
            gauges[gauge].insert(metric?.labels);
        }
    }
    let [pushed, refused] = gauges;
    Ok(pushed.difference(&refused).cloned().collect())
}

/// The groups that these may be the labels of: the exposition adds `instance=""` where there is no instance.
pub(super) fn spellings(exposed: &Labels) -> Vec<Labels> {
    let mut without = exposed.clone();
    let added = without.remove("instance").is_some_and(|value| value.is_empty());
    if added { vec![without, exposed.clone()] } else { vec![exposed.clone()] }
}
