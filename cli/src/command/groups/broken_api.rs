//! Which group makes a gateway break off the answer of its API: the Pushgateway 1.11 falls over a group whose
//! `push_failure_time_seconds`, its own gauge, was pushed without a value. Scrapes go on; nothing else can be told.

use crate::gateway::api::Labels;
use crate::gateway::client::Gateway;
use crate::gateway::exposition::families;
use crate::gateway::push_times::own_gauges;

/// The labels of groups that have a time of the last push but none of the last refusal, as the exposition tells them.
///
/// # Errors
/// The exposition cannot be read to its end.
pub(super) fn silencing(gateway: &Gateway) -> anyhow::Result<Vec<Labels>> {
    let [pushed, mut refused] = own_gauges(families(gateway.exposition()?))?;
    let mut labels: Vec<Labels> =
        pushed.into_keys().filter(|labels| refused.remove(labels).is_none()).collect();
    labels.sort_unstable();
    Ok(labels)
}

/// The groups that these may be the labels of: the exposition adds `instance=""` where there is no instance.
pub(super) fn spellings(exposed: &Labels) -> Vec<Labels> {
    let mut without = exposed.clone();
    let added = without.remove("instance").is_some_and(|value| value.is_empty());
    if added { vec![without, exposed.clone()] } else { vec![exposed.clone()] }
}
