//! Finds families without metrics that may be why a gateway rejects pushes. It shows neither these families in `/metrics`
//! nor why it rejected a push.

use super::culprits::{Blamed, Detailed, bytes, has_labels};
use crate::output;
use crate::reason::Code;

/// Returns the groups with nothing but families without metrics, if another group's last push was rejected since. Their
/// deletion loses no metric.
pub(super) fn blame(groups: &[Detailed]) -> Vec<Blamed> {
    let rejection = |group: &Detailed| {
        group.last_rejection().filter(|at| group.last_push().is_none_or(|pushed| pushed < *at))
    };
    let rejected: Vec<_> = groups.iter().filter_map(|group| Some((group, rejection(group)?))).collect();
    let blamed = |group: &Detailed| {
        let has_no_metrics = group.families.values().all(|family| family.metrics.is_empty());
        let (name, _) = group.families.first_key_value().filter(|_| has_no_metrics && has_labels(group))?;
        let stored = group.families.values().map(|family| family.time_stamp).max()?;
        let mut later = rejected.iter().filter(|(other, at)| other.labels != group.labels && *at > stored);
        let (other, _) = later.next()?;
        let text = "it has no metrics, but the gateway compares its name and type with those of every push: perhaps it \
                    therefore rejected the last push to";
        let reason = format!("{name}: {text} {}", output::group(&other.labels));
        Some(Blamed {
            labels: bytes(&group.labels),
            family: name.clone(),
            reason: Code::TypeConflict.because(reason),
            is_exposed: false,
        })
    };
    groups.iter().filter_map(blamed).collect()
}
