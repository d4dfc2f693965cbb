//! Finds the groups that break the API of a gateway: Pushgateway 1.11 aborts its answer at a group whose
//! `push_failure_time_seconds`, its own gauge, was pushed without a value. Scrapes still work.

use std::collections::HashSet;

use super::culprits::Blamed;
use super::exposed::Exposed;
use crate::gateway::api::PUSH_FAILED;
use crate::reason::Code;

/// Returns the groups with a time of the last accepted push but none of the last rejected push.
pub(super) fn culprits(exposed: &Exposed) -> Vec<Blamed> {
    let rejected: HashSet<_> = exposed.rejected.iter().collect();
    let groups = exposed.groups.iter().filter(|(labels, _)| !rejected.contains(labels));
    let blamed = |labels| Blamed {
        labels,
        family: PUSH_FAILED.to_owned(),
        reason: Code::NoValue.because(format!("{PUSH_FAILED} was pushed without a value")),
        is_exposed: true,
    };
    let mut culprits: Vec<Blamed> = groups.map(|(labels, _)| blamed(labels.clone())).collect();
    culprits.sort_by(|a, b| a.labels.cmp(&b.labels));
    culprits
}
