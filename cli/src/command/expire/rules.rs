//! Deletes groups whose last push is older than the limit of their job; a Pushgateway keeps groups forever.
//!
//! A group with an unknown age is never deleted. A rejected push counts as a push: its client is alive. A stub, to which
//! no push was ever accepted, has the age of its last rejected push.

use std::time::Duration;

use jiff::SignedDuration;
use regex::Regex;

use super::report::Report;
use crate::cleanup::copy::{Age, KeepReason};
use crate::cleanup::delete_batch;
use crate::cleanup::pair::{Partner, partner};
use crate::cleanup::plan::{DeletionPlan, Selection, age, delete_by_age};
use crate::cleanup::safety_check::SafetyCheck;
use crate::duration;
use crate::fleet::group_filter::{self, is_older};
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Groups, Survey};
use crate::gateway::api::{NO_PUSH_TIME, StoredGroup};
use crate::gateway::pool::Gateways;
use crate::gateway::values::Values;
use crate::reason::{Code, Reason};

#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Limit for all other jobs. `None`: they never expire.
    pub(crate) after: Option<Duration>,
    /// The first rule that matches the full name of the job wins.
    pub(crate) jobs: Vec<JobRule>,
}

/// The expiry time for the jobs that match.
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
    /// Parses `REGEX=TIME` or `REGEX=never`. The time begins after the last `=`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (job, after) = text.rsplit_once('=').ok_or("expected REGEX=TIME, such as backup-.*=7d")?;
        let after = if after == "never" { None } else { Some(limit(after)?) };
        Ok(Self { job: group_filter::job(job)?, after })
    }
}

/// Parses a time after which groups expire. Rejects less than a second, which would delete everything.
pub(crate) fn limit(text: &str) -> Result<Duration, String> {
    let limit = duration::within(duration::SECOND, duration::ANY)(text);
    limit.map_err(|expected| format!("{expected}, or REGEX=never with --job"))
}

impl Rules {
    fn after(&self, job: &str) -> Option<Duration> {
        let rule = self.jobs.iter().find(|rule| rule.job.is_match(job));
        rule.map_or(self.after, |rule| rule.after)
    }

    fn plan<'s>(&self, fleet: &Fleet, survey: &'s Survey) -> DeletionPlan<'s, Age> {
        DeletionPlan::new(survey, |on, groups, group| match self.due(groups, group) {
            Due::No => Selection::Skip,
            Due::Yes => match partner(fleet, survey, on, group) {
                Partner::Unknown(reason) => {
                    Selection::Keep(age(groups, group), KeepReason::Uncertain(reason))
                }
                Partner::Copy(at, copy) if self.due(at, copy) == Due::No => Selection::Skip,
                Partner::Copy(at, copy) if self.due(at, copy) == Due::Unknown => {
                    Selection::Keep(age(groups, group), KeepReason::Uncertain(unknown_age(copy)))
                }
                Partner::Copy(..) | Partner::None => delete_by_age(&fleet.router, (on, groups), group),
            },
            Due::Unknown => Selection::Keep(age(groups, group), KeepReason::Uncertain(unknown_age(group))),
        })
    }

    fn due(&self, groups: &Groups, group: &StoredGroup<Values>) -> Due {
        // An ambiguous group may have no job label: then the rule is a guess, but its age is unknown, too.
        let job = group.labels.get("job").map_or("", String::as_str);
        let Some(after) = self.after(job) else { return Due::No };
        match idle(groups, group) {
            None => Due::Unknown,
            idle if is_older(idle, after) => Due::Yes,
            _ => Due::No,
        }
    }
}

/// Deletes the groups that are due, once. `progress` gets the number of decided removals and the total.
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

/// Reports what [`pass`] would delete.
pub(crate) fn dry_run(fleet: &Fleet, gateways: &Gateways, rules: &Rules) -> Report {
    let survey = Survey::read(gateways, fleet);
    let plan = rules.plan(fleet, &survey);
    Report { dry_run: true, fresh: plan.skipped, groups: plan.copies, unreadable: survey.unreadable() }
}

fn unknown_age(group: &StoredGroup<Values>) -> Reason {
    group.ambiguity.clone().unwrap_or_else(|| {
        let (code, text) = if group.is_stub() {
            (Code::NeverAccepted, "no push to it was ever accepted")
        } else {
            (Code::NoPushTime, NO_PUSH_TIME)
        };
        code.because(format!("its age is unknown: {text}"))
    })
}

/// Returns the time since the last push, accepted or rejected, by the clock of the gateway. `None`: the
/// last accepted push is unknown.
fn idle(groups: &Groups, group: &StoredGroup<Values>) -> Option<SignedDuration> {
    let rejected = group.last_rejection().map(|rejected| groups.status.clock.age(rejected));
    if group.is_stub() && group.ambiguity.is_none() {
        return rejected;
    }
    let accepted = groups.age(group)?;
    Some(rejected.map_or(accepted, |rejected| accepted.min(rejected)))
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::gateway::client::Status;
    use crate::gateway::clock::Clock;

    /// Applies a limit of one hour to a group: minutes since the last accepted and the last rejected push
    /// (`None`: never), on a gateway whose clock is 10 minutes ahead.
    fn due(accepted: Option<i64>, rejected: Option<i64>) -> Due {
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
            "push_time_seconds": gauge(accepted), "push_failure_time_seconds": gauge(rejected)});
        let groups = Groups {
            status: Status { start_time: String::new(), clock },
            began: now,
            took: Duration::ZERO,
            all: vec![serde_json::from_value(group).unwrap()],
        };
        let rules = Rules { after: Some(Duration::from_secs(3600)), jobs: Vec::new() };
        rules.due(&groups, &groups.all[0])
    }

    #[test]
    fn last_push_counts_even_if_rejected() {
        assert_eq!(due(Some(61), None), Due::Yes);
        assert_eq!(due(Some(59), None), Due::No);
        assert_eq!(due(Some(61), Some(59)), Due::No, "its client is alive");
        assert_eq!(due(Some(59), Some(61)), Due::No);
        assert_eq!(due(Some(70), Some(61)), Due::Yes);
        assert_eq!(due(None, Some(61)), Due::Yes, "a stub");
        assert_eq!(due(None, Some(59)), Due::No, "its client is alive");
        assert_eq!(due(None, None), Due::Unknown);
    }

    #[test]
    fn first_rule_that_matches_whole_job_wins() {
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
    fn rejects_invalid_rules() {
        for text in ["a", "a=", "a=0s", "a=1ms", "a=soon", "(=1h", "a=-1h"] {
            assert!(JobRule::parse(text).is_err(), "{text}");
        }
    }
}
