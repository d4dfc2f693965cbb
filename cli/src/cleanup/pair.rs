//! The two copies of a group with `mirror: all`, which expire together.
//!
//! Each gateway has its own time of the last push: a copy that missed pushes, or that `sweep --repair` made, has another age.
//! If one copy expired alone, a repair would bring it back from the other.

use pushring_router::RouteBy;

use crate::fleet::source::Fleet;
use crate::fleet::survey::{GroupLocation, Groups, Survey, locate_group};
use crate::gateway::api::StoredGroup;
use crate::gateway::values::Values;
use crate::reason::{Code, Reason};

/// The copy of a group on its replica, seen from its owner, or the reverse.
pub(crate) enum Partner<'s> {
    /// There is none: the group has no replica, this copy is on a third gateway, or the other gateway lacks it.
    None,
    Copy(&'s Groups, &'s StoredGroup<Values>),
    /// The other gateway cannot be read, for this reason.
    Unknown(Reason),
}

/// Returns the partner of the copy on gateway `on`.
pub(crate) fn partner<'s>(
    fleet: &Fleet,
    survey: &'s Survey,
    on: usize,
    group: &StoredGroup<Values>,
) -> Partner<'s> {
    let by_path = fleet.router.config().route_by == RouteBy::Path;
    let Ok(GroupLocation { owner, replica: Some(replica), .. }) = locate_group(&fleet.router, group) else {
        return Partner::None;
    };
    let (other, role, code) = match on {
        // A group has several owners there.
        _ if by_path => return Partner::None,
        on if on == owner => (replica, "replica", Code::ReplicaUnreadable),
        on if on == replica => (owner, "owner", Code::OwnerUnreadable),
        _ => return Partner::None,
    };
    let other = &survey.gateways[other];
    match other.groups() {
        Ok(groups) => groups.find(&group.labels).map_or(Partner::None, |copy| Partner::Copy(groups, copy)),
        Err(reason) => {
            let text = format!("its {role} {} cannot be read: {reason}", other.gateway.name());
            Partner::Unknown(code.because(text))
        }
    }
}
