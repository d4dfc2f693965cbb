//! Deleting groups whose last push is long ago, each job by its own limit: what a Pushgateway does not do.
//!
//! A group whose age cannot be told is never deleted. A push that was refused counts as one: who pushes is there.

use std::time::Duration;

use jiff::SignedDuration;
use regex::Regex;
use serde::de::IgnoredAny;

use super::report::Report;
use crate::cleanup::copy::{Age, KeepReason};
use crate::cleanup::delete_batch;
use crate::cleanup::plan::{DeletionPlan, Selection, age, delete_by_age};
use crate::cleanup::safety_check::SafetyCheck;
use crate::fleet::group_filter::{is_older, whole};
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Groups, NO_PUSH_TIME, Survey};
use crate::gateway::api::StoredGroup;
use crate::gateway::pool::Gateways;

#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// For jobs that no other rule takes; none: these never expire.
    pub(crate) after: Option<Duration>,
    /// The first whose job matches as a whole decides.
    pub(crate) jobs: Vec<JobRule>,
}

/// When the groups of some jobs expire.
#[derive(Clone, Debug)]
pub(crate) struct JobRule {
    job: Regex,
    /// `None`: never.
    after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Yes,
    No,
    Unknown,
}

impl JobRule {
    /// Reads `REGEX=TIME` or `REGEX=never`. The time begins after the last `=`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (job, after) = text.rsplit_once('=').ok_or("allowed: REGEX=TIME, such as backup-.*=7days")?;
        let after = if after == "never" { None } else { Some(limit(after)?) };
        Ok(Self { job: whole(job).map_err(|error| error.to_string())?, after })
    }
}

/// Reads a time after which groups expire.
///
/// # Errors
/// What is wrong with it; 0 is no limit, and would delete everything.
pub(crate) fn limit(text: &str) -> Result<Duration, String> {
    let after = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if after.is_zero() {
        return Err("found 0, allowed is a time above 0, or in --job REGEX=never".to_owned());
    }
    Ok(after)
}

impl Rules {
    fn after(&self, job: &str) -> Option<Duration> {
        let rule = self.jobs.iter().find(|rule| rule.job.is_match(job));
        rule.map_or(self.after, |rule| rule.after)
    }

    fn plan<'s>(&self, fleet: &Fleet, survey: &'s Survey) -> DeletionPlan<'s, Age> {
        DeletionPlan::new(survey, |on, groups, group| match self.judge(groups, group) {
            Due::No => Selection::Skip,
            Due::Yes => delete_by_age(&fleet.router, (on, groups), group),
            Due::Unknown => Selection::Keep(age(groups, group), KeepReason::Uncertain(unknown_age(group))),
        })
    }

    fn judge(&self, groups: &Groups, group: &StoredGroup<IgnoredAny>) -> Due {
        // Where the job cannot be told, any rule might be the one.
        let job = group.labels.get("job").map_or("", String::as_str);
        let Some(after) = self.after(job) else { return Due::No };
        match idle(groups, group) {
            None => Due::Unknown,
            idle if is_older(idle, after) => Due::Yes,
            _ => Due::No,
        }
    }
}

/// Deletes once what is due. `progress` is told how many copies are decided, of how many.
pub(crate) fn pass(
    fleet: &Fleet,
    gateways: &Gateways,
    safety: &SafetyCheck,
    rules: &Rules,
    progress: impl Fn(usize, usize),
) -> Report {
    let survey = Survey::read(gateways, fleet);
    let plan = rules.plan(fleet, &survey);
    let fresh = plan.skipped;
    let results = delete_batch::remove(gateways, &survey, &plan.removals, || safety.check(), progress);
    Report { dry_run: false, fresh, groups: plan.finish(results), unreadable: survey.unreadable() }
}

/// What [`pass`] would do.
pub(crate) fn dry_run(fleet: &Fleet, gateways: &Gateways, rules: &Rules) -> Report {
    let survey = Survey::read(gateways, fleet);
    let plan = rules.plan(fleet, &survey);
    Report { dry_run: true, fresh: plan.skipped, groups: plan.copies, unreadable: survey.unreadable() }
}

/// Why a group stays whose age has to be known.
fn unknown_age(group: &StoredGroup<IgnoredAny>) -> String {
    group.ambiguity.clone().unwrap_or_else(|| {
        let reason = if group.is_stub() { "no push to it was ever taken" } else { NO_PUSH_TIME };
        format!("its age is unknown: {reason}")
    })
}

/// How long ago the last push was, taken or refused, by the clock of its gateway. `None` where the last one that was
/// taken cannot be told.
fn idle(groups: &Groups, group: &StoredGroup<IgnoredAny>) -> Option<SignedDuration> {
    let taken = groups.age(group)?;
    let refused = group.last_refusal().map(|refused| groups.status.clock.age(refused));
    Some(refused.map_or(taken, |refused| taken.min(refused)))
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::gateway::client::Status;
    use crate::gateway::clock::Clock;

    /// What becomes of a group with a limit of an hour: minutes since the last push taken and the last refused (none:
    /// never), on a gateway whose clock is 10 minutes ahead.
    fn judged(taken: Option<i64>, refused: Option<i64>) -> Due {
        let now = Timestamp::now();
        let ahead = SignedDuration::from_mins(10);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&(now + ahead));
        let clock = Clock::new(&date.unwrap(), now, now).unwrap();
        let gauge = |minutes: Option<i64>| {
            let stamp = now + ahead - SignedDuration::from_mins(minutes.unwrap_or(90));
            let value = if minutes.is_some() { "1.7e9" } else { "0" };
            json!({"time_stamp": stamp.to_string(), "type": "GAUGE", "metrics": [{"value": value}]})
        };
        let group = json!({"labels": {"job": "j"}, "last_push_successful": true,
            "push_time_seconds": gauge(taken), "push_failure_time_seconds": gauge(refused)});
        let groups = Groups {
            status: Status { start_time: String::new(), clock },
            took: Duration::ZERO,
            all: vec![serde_json::from_value(group).unwrap()],
        };
        let rules = Rules { after: Some(Duration::from_secs(3600)), jobs: Vec::new() };
        rules.judge(&groups, &groups.all[0])
    }

    #[test]
    fn the_last_push_decides_also_one_that_was_refused() {
        assert_eq!(judged(Some(61), None), Due::Yes);
        assert_eq!(judged(Some(59), None), Due::No);
        assert_eq!(judged(Some(61), Some(59)), Due::No, "who pushes is there");
        assert_eq!(judged(Some(59), Some(61)), Due::No);
        assert_eq!(judged(Some(70), Some(61)), Due::Yes);
        assert_eq!(judged(None, Some(61)), Due::Unknown, "no push was ever taken");
    }

    #[test]
    fn the_first_rule_that_matches_the_whole_job_decides() {
        let rule = |text: &str| JobRule::parse(text).unwrap();
        let day = Duration::from_secs(86_400);
        let jobs =
            vec![rule("backup-.*=7days"), rule("backup-db=1h"), rule("a=b=2days"), rule("ever.*=never")];
        let rules = Rules { after: Some(day), jobs };
        assert_eq!(rules.after("backup-db"), Some(7 * day));
        assert_eq!(rules.after("a=b"), Some(2 * day), "a job with =");
        assert_eq!(rules.after("everything"), None);
        assert_eq!(rules.after("not-backup-db"), Some(day));
        assert_eq!(Rules::default().after("a"), None);
    }

    #[test]
    fn what_is_no_rule_is_told() {
        for text in ["a", "a=", "a=0s", "a=soon", "(=1h", "a=-1h"] {
            assert!(JobRule::parse(text).is_err(), "{text}");
        }
    }
}
