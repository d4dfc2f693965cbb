//! Finds the groups that break the API of a gateway: Pushgateway 1.11 aborts its answer at a group whose
//! `push_failure_time_seconds`, its own gauge, was pushed without a value. Scrapes still work.

use crate::gateway::api::Labels;
use crate::gateway::client::Gateway;
use crate::gateway::exposition::families;
use crate::gateway::push_times::own_gauges;

/// Returns the labels, as exposed, of groups with a time of the last accepted push but none of the last
/// rejected push.
///
/// # Errors
/// The exposition is incomplete or cannot be read.
pub(super) fn culprits(gateway: &Gateway) -> anyhow::Result<Vec<Labels>> {
    let [pushed, mut rejected] = own_gauges(families(gateway.exposition()?))?;
    let mut labels: Vec<Labels> =
        pushed.into_keys().filter(|labels| rejected.remove(labels).is_none()).collect();
    labels.sort_unstable();
    Ok(labels)
}

/// Returns the groups that may have these labels, because the exposition adds `instance=""` to metrics
/// without an instance.
pub(super) fn possible_labels(exposed: &Labels) -> Vec<Labels> {
    let mut without = exposed.clone();
    let added = without.remove("instance").is_some_and(|value| value.is_empty());
    if added { vec![without, exposed.clone()] } else { vec![exposed.clone()] }
}
