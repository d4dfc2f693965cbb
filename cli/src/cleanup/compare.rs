//! Compares a copy with its owner's group, as a survey found both.

use serde::de::IgnoredAny;

use crate::cleanup::copy::KeepReason;
use crate::cleanup::superseded::superseded;
use crate::fleet::survey::Survey;
use crate::gateway::api::StoredGroup;
use crate::reason::Code;

/// Checks that the owner supersedes the copy on gateway `on`.
pub(crate) fn compare(
    survey: &Survey,
    on: usize,
    group: &StoredGroup<IgnoredAny>,
    owner: usize,
) -> Result<(), KeepReason> {
    let here = survey.gateways[on]
        .groups()
        .map_err(|reason| KeepReason::Uncertain(Code::Unreadable.because(reason)))?;
    let owner = &survey.gateways[owner];
    let there = owner.groups().map_err(|reason| {
        let text = format!("its owner {} cannot be read: {reason}", owner.gateway.name());
        KeepReason::Uncertain(Code::OwnerUnreadable.because(text))
    })?;
    let owned = there.find(&group.labels).map(|group| (group, &there.status.clock));
    superseded((group, &here.status.clock), owned)
}
