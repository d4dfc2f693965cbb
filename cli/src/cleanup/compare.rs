//! Compares a copy with the group on its owner and on its replica, as a survey found them.

use crate::cleanup::copy::KeepReason;
use crate::cleanup::superseded::{GroupOnGateway, replicated, superseded};
use crate::fleet::survey::{GroupLocation, Survey};
use crate::gateway::api::StoredGroup;
use crate::gateway::values::Values;
use crate::reason::Code;

/// Checks that the owner supersedes the copy on gateway `on`, and that the replica, if there is one, holds all of it.
pub(crate) fn compare(
    survey: &Survey,
    on: usize,
    group: &StoredGroup<Values>,
    location: &GroupLocation,
) -> Result<(), KeepReason> {
    let here = survey.gateways[on]
        .groups()
        .map_err(|reason| KeepReason::Uncertain(Code::Unreadable.because(reason)))?;
    let copy = (group, &here.status.clock);
    superseded(copy, find(survey, group, location.owner, ("owner", Code::OwnerUnreadable))?)?;
    let Some(replica) = location.replica else { return Ok(()) };
    replicated(copy, find(survey, group, replica, ("replica", Code::ReplicaUnreadable))?)
}

/// Finds the group on another gateway, of which a reason names the role.
fn find<'s>(
    survey: &'s Survey,
    group: &StoredGroup<Values>,
    on: usize,
    (role, code): (&str, Code),
) -> Result<Option<GroupOnGateway<'s, Values>>, KeepReason> {
    let surveyed = &survey.gateways[on];
    let groups = surveyed.groups().map_err(|reason| {
        let text = format!("its {role} {} cannot be read: {reason}", surveyed.gateway.name());
        KeepReason::Uncertain(code.because(text))
    })?;
    Ok(groups.find(&group.labels).map(|group| (group, &groups.status.clock)))
}
