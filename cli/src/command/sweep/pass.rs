//! One pass over the fleet: each copy on a gateway that does not own its group is deleted if nothing is
//! lost, and kept with a reason otherwise.

use std::time::Duration;

use pushring_router::{Mirror, Router};
use serde::de::IgnoredAny;

use super::heal;
use super::repair::{self, Repair};
use super::report::{Owner, Report};
use crate::cleanup::compare::compare;
use crate::cleanup::copy::{KeepReason, Removal};
use crate::cleanup::delete_batch;
use crate::cleanup::plan::{DeletionPlan, Selection};
use crate::cleanup::safety_check::SafetyCheck;
use crate::fleet::group_filter::is_older;
use crate::fleet::ring_history::RingHistory;
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Groups, Survey, locate_group};
use crate::gateway::api::StoredGroup;
use crate::gateway::pool::Gateways;

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
const ORPHAN: &str = "not pushed for longer than --orphans-after";

/// Sweeps once. `progress` gets the number of decided removals and the total.
///
/// # Errors
/// [`crate::error::NotSafe`] if groups do not have a single owner each.
pub(crate) fn pass(
    fleet: &Fleet,
    gateways: &Gateways,
    safety: &SafetyCheck,
    (options, history): (Options, &RingHistory),
    progress: impl Fn(usize, usize),
) -> anyhow::Result<Report> {
    fleet.require_owners()?;
    // First, because a copy on a third gateway may be the source of a repair.
    let repaired = if options.repair {
        repair::require_replicas(fleet.router.config())?;
        let run = Repair { fleet, gateways, safety, history, settle: safety.settle() };
        Some(repair::repair(&run, options.dry_run, &progress))
    } else {
        None
    };
    let survey = Survey::read(gateways, fleet);
    let unreadable = survey.unreadable();
    let plan =
        DeletionPlan::new(&survey, |on, groups, group| select(fleet, &survey, (on, groups), group, options));
    let in_place = plan.skipped;
    let misplaced = if options.dry_run {
        plan.copies
    } else {
        let results = delete_batch::remove(gateways, &survey, &plan.removals, || safety.check(), progress);
        plan.finish(results)
    };
    let mut report =
        Report { dry_run: options.dry_run, in_place, misplaced, unreadable, healed: None, repaired: None };
    if let Some(repaired) = repaired {
        report.repair(repaired);
    }
    if options.heal {
        report.heal(heal::heal(fleet, gateways, safety, options.dry_run));
    }
    Ok(report)
}

fn select<'s>(
    fleet: &Fleet,
    survey: &'s Survey,
    (on, groups): (usize, &Groups),
    group: &'s StoredGroup<IgnoredAny>,
    options: Options,
) -> Selection<'s, Owner> {
    let location = match locate_group(&fleet.router, group) {
        Ok(location) => location,
        Err(reason) => return Selection::Keep(Owner { owner: None }, KeepReason::Uncertain(reason)),
    };
    if location.owner == on || is_replica(&fleet.router, &location.path, on) {
        return Selection::Skip;
    }
    let owner = Owner { owner: Some(survey.name(location.owner)) };
    let (newer_on, why) = match compare(survey, on, group, location.owner) {
        Ok(()) => (Some(location.owner), SUPERSEDED),
        Err(KeepReason::Uncertain(reason)) => return Selection::Keep(owner, KeepReason::Uncertain(reason)),
        Err(_) if is_orphan(groups, group, options) => (None, ORPHAN),
        Err(reason) => return Selection::Keep(owner, reason),
    };
    Selection::Delete(owner, Removal { on, group, path: location.path, owner: newer_on, why: Some(why) })
}

/// Returns whether pushes of the group of a push path are mirrored to this member.
fn is_replica(router: &Router, path: &str, on: usize) -> bool {
    let replica = || router.ring().clockwise(&router.group(path.as_bytes())?.key).nth(1);
    router.config().mirror == Mirror::All && replica() == Some(on)
}

/// Returns whether the last push, accepted or rejected, is older than `orphans_after`.
fn is_orphan(groups: &Groups, group: &StoredGroup<IgnoredAny>, options: Options) -> bool {
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
            let group: StoredGroup<IgnoredAny> = serde_json::from_value(group).unwrap();
            let groups = Groups {
                status: Status { start_time: String::new(), clock: Clock::new(&date, now, now).unwrap() },
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
