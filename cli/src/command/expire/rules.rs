//! Deleting groups whose last push is long ago, each job by its own limit: what a Pushgateway does not do.
//!
//! A group whose age cannot be told is never deleted. A push that was refused counts as one: who pushes is there.

use std::time::Duration;

use regex::Regex;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::cleanup::guard::Guard;
use crate::cleanup::plan::{Copy, Plan, Verdict, deleted, idle, unknown_age};
use crate::command::sweep::pass::{Unreadable, unreadable};
use crate::fleet::group_filter::{is_older, whole};
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Contents, Survey};
use crate::gateway::api::Group;
use crate::gateway::pool::Gateways;

/// When groups expire.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// For jobs that no other rule takes; none: these never expire.
    pub after: Option<Duration>,
    /// The first whose job matches as a whole decides.
    pub jobs: Vec<JobRule>,
}

/// When the groups of some jobs expire.
#[derive(Clone, Debug)]
pub struct JobRule {
    job: Regex,
    /// None: never.
    after: Option<Duration>,
}

/// What was found and done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Nothing was touched.
    pub dry_run: bool,
    /// How many copies of groups are not due: too young, or of a job that never expires.
    pub fresh: usize,
    /// Copies that are due, or of which that cannot be told, and what became of them.
    pub groups: Vec<Copy>,
    /// Gateways about which nothing can be told, and why.
    pub unreadable: Vec<Unreadable>,
}

impl JobRule {
    /// Reads `REGEX=TIME` or `REGEX=never`. The time begins after the last `=`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (job, after) = text.rsplit_once('=').ok_or("allowed: REGEX=TIME, such as backup-.*=7days")?;
        let after = if after == "never" { None } else { Some(limit(after)?) };
        Ok(Self { job: whole(job).map_err(|error| error.to_string())?, after })
    }
}

/// Reads a time after which groups expire.
///
/// # Errors
/// What is wrong with it; 0 is no limit, and would delete everything.
pub fn limit(text: &str) -> Result<Duration, String> {
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

    fn judge(&self, contents: &Contents, group: &Group<IgnoredAny>) -> Verdict {
        // Where the job cannot be told, any rule might be the one.
        let job = group.labels.get("job").map_or("", String::as_str);
        let Some(after) = self.after(job) else { return Verdict::Pass };
        let idle = idle(contents, group);
        if idle.is_none() {
            Verdict::Keep(unknown_age(group))
        } else if is_older(idle, after) {
            Verdict::Go
        } else {
            Verdict::Pass
        }
    }
}

impl Report {
    /// Whether something is left to do.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        let done = if self.dry_run { 0 } else { deleted(&self.groups) };
        self.groups.len() > done || self.unreadable.iter().any(|gateway| gateway.on_ring)
    }
}

/// Deletes once what is due. `progress` is told how many copies are decided, of how many.
#[must_use]
pub fn pass(
    fleet: &Fleet,
    gateways: &Gateways,
    guard: &Guard,
    rules: &Rules,
    progress: impl Fn(usize, usize),
) -> Report {
    let survey = Survey::read(gateways, fleet);
    let plan = Plan::new(&fleet.router, &survey, |contents, group| rules.judge(contents, group));
    let (fresh, unreadable) = (plan.passed, unreadable(&survey));
    Report { dry_run: false, fresh, groups: plan.remove(gateways, guard, progress), unreadable }
}

/// What [`pass`] would do.
#[must_use]
pub fn dry_run(fleet: &Fleet, gateways: &Gateways, rules: &Rules) -> Report {
    let survey = Survey::read(gateways, fleet);
    let plan = Plan::new(&fleet.router, &survey, |contents, group| rules.judge(contents, group));
    Report { dry_run: true, fresh: plan.passed, groups: plan.copies, unreadable: unreadable(&survey) }
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
    fn judged(taken: Option<i64>, refused: Option<i64>) -> &'static str {
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
        let contents = Contents {
            status: Status { start_time: String::new(), clock },
            took: Duration::ZERO,
            groups: vec![serde_json::from_value(group).unwrap()],
        };
        let rules = Rules { after: Some(Duration::from_secs(3600)), jobs: Vec::new() };
        match rules.judge(&contents, &contents.groups[0]) {
            Verdict::Go => "go",
            Verdict::Pass => "pass",
            Verdict::Keep(_) => "keep",
        }
    }

    #[test]
    fn the_last_push_decides_also_one_that_was_refused() {
        assert_eq!(judged(Some(61), None), "go");
        assert_eq!(judged(Some(59), None), "pass");
        assert_eq!(judged(Some(61), Some(59)), "pass", "who pushes is there");
        assert_eq!(judged(Some(59), Some(61)), "pass");
        assert_eq!(judged(Some(70), Some(61)), "go");
        assert_eq!(judged(None, Some(61)), "keep", "no push was ever taken");
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
