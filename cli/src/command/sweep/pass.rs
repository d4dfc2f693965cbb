//! One pass over the fleet: each copy on a gateway that is neither owner nor replica of its group is deleted if nothing is
//! lost, and kept with a reason otherwise.

use std::time::Duration;

use pushring_router::Mirror;

use super::heal;
use super::repair::{self, Repair};
use super::report::{Owner, Report};
use crate::cleanup::compare::compare;
use crate::cleanup::copy::{KeepReason, Removal};
use crate::cleanup::delete_batch;
use crate::cleanup::plan::{DeletionPlan, Selection};
use crate::cleanup::safety_check::SafetyCheck;
use crate::fleet::group_filter::is_older;
use crate::fleet::past::Past;
use crate::fleet::source::Fleet;
use crate::fleet::survey::{GroupLocation, Groups, Survey, locate_group};
use crate::gateway::api::StoredGroup;
use crate::gateway::pool::Gateways;
use crate::gateway::values::Values;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) dry_run: bool,
    /// Also delete copies that their owner does not supersede, if their last push is older than this.
    pub(crate) orphans_after: Option<Duration>,
    /// Also delete stubs that poison their gateway.
    pub(crate) heal: bool,
    /// First make each group equal on its owner and its replica.
    pub(crate) repair: bool,
}

const SUPERSEDED: &str = "its owner holds all of it, newer";
const REPLICATED: &str = "its owner holds all of it, newer, and its replica holds it, too";
const ORPHAN: &str = "not pushed for longer than --orphans-after";

/// Sweeps once. `progress` gets the number of decided removals and the total.
///
/// # Errors
/// [`crate::error::NotSafe`] if groups do not have a single owner each.
pub(crate) fn pass(
    fleet: &Fleet,
    gateways: &Gateways,
    safety: &SafetyCheck,
    (options, past): (Options, &Past),
    progress: impl Fn(usize, usize),
) -> anyhow::Result<Report> {
    fleet.require_owners()?;
    // First, because a copy on a third gateway may be the source of a repair.
    let repaired = if options.repair {
        repair::require_replicas(fleet.router.config())?;
        let run = Repair { fleet, gateways, safety, past, settle: safety.settle() };
        Some(repair::repair(&run, options.dry_run, &progress))
    } else {
        None
    };
    let survey = Survey::read(gateways, fleet);
    let unreadable = survey.unreadable();
    let mut replicas = 0;
    let plan = DeletionPlan::new(&survey, |on, groups, group| match locate_group(&fleet.router, group) {
        Err(reason) => Selection::Keep(Owner { owner: None }, KeepReason::Uncertain(reason)),
        Ok(location) if location.is_placed(on) => {
            replicas += usize::from(location.owner != on);
            Selection::Skip
        }
        Ok(location) => select(&survey, (on, groups), group, location, options),
    });
    let in_place = plan.skipped - replicas;
    let replicas = (fleet.router.config().mirror == Mirror::All).then_some(replicas);
    let misplaced = if options.dry_run {
        plan.copies
    } else {
        let results = delete_batch::remove(gateways, &survey, &plan.removals, || safety.check(), progress);
        plan.finish(results)
    };
    let mut report = Report {
        dry_run: options.dry_run,
        in_place,
        replicas,
        misplaced,
        unreadable,
        healed: None,
        repaired: None,
    };
    if let Some(repaired) = repaired {
        report.repair(repaired);
    }
    if options.heal {
        report.heal(heal::heal(fleet, gateways, safety, options.dry_run));
    }
    Ok(report)
}

fn select<'s>(
    survey: &'s Survey,
    (on, groups): (usize, &Groups),
    group: &'s StoredGroup<Values>,
    location: GroupLocation,
    options: Options,
) -> Selection<'s, Owner> {
    let name = Owner { owner: Some(survey.name(location.owner)) };
    let (owner, replica) = (Some(location.owner), location.replica);
    let (owner, replica, why) = match compare(survey, on, group, &location) {
        Ok(()) if replica.is_some() => (owner, replica, REPLICATED),
        Ok(()) => (owner, None, SUPERSEDED),
        Err(KeepReason::Uncertain(reason)) => return Selection::Keep(name, KeepReason::Uncertain(reason)),
        Err(_) if is_orphan(groups, group, options) => (None, None, ORPHAN),
        Err(reason) => return Selection::Keep(name, reason),
    };
    Selection::Delete(name, Removal { on, group, path: location.path, owner, replica, why: Some(why) })
}

/// Returns whether the last push, accepted or rejected, is older than `orphans_after`.
fn is_orphan(groups: &Groups, group: &StoredGroup<Values>, options: Options) -> bool {
    let Some(after) = options.orphans_after else { return false };
    let last = [group.pushed, group.rejected].into_iter().flatten().map(|push| push.time_stamp).max();
    is_older(last.map(|last| groups.status.clock.age(last)), after)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::gateway::client::Status;
    use crate::gateway::clock::Clock;

    #[test]
    fn keeps_orphan_with_recent_rejected_push() {
        let now = Timestamp::now();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
        let gauge = |minutes: i64| {
            let stamp = now - SignedDuration::from_mins(minutes);
            json!({"time_stamp": stamp.to_string(), "type": "GAUGE", "metrics": [{"value": "1.7e9"}]})
        };
        let is_orphan = |accepted: i64, rejected: i64| {
            let group = json!({"labels": {"job": "j"}, "last_push_successful": false,
                "push_time_seconds": gauge(accepted), "push_failure_time_seconds": gauge(rejected)});
            let group: StoredGroup<Values> = serde_json::from_value(group).unwrap();
            let groups = Groups {
                status: Status { start_time: String::new(), clock: Clock::new(&date, now, now).unwrap() },
                began: now,
                took: Duration::ZERO,
                all: Vec::new(),
            };
            let options = Options { orphans_after: Some(Duration::from_secs(3600)), ..Options::default() };
            super::is_orphan(&groups, &group, options)
        };
        assert!(is_orphan(61, 61));
        assert!(!is_orphan(61, 59));
        assert!(!is_orphan(59, 61));
    }
}
