//! One pass over the fleet: each group that lies on a gateway that does not own it is deleted there when nothing is lost
//! by it, and kept with a reason otherwise.

use std::time::Duration;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::cleanup::delete_batch as batch;
use crate::cleanup::delete_batch::{Fate, Removal};
use crate::cleanup::guard::Guard;
pub use crate::cleanup::guard::groups_have_owners;
use crate::cleanup::superseded::{Kept, superseded};
use crate::fleet::group_filter::is_older;
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Contents, Reading, Survey, place};
use crate::gateway::api::{Group, Labels};
use crate::gateway::pool::Gateways;

/// What to do in a pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Also delete a copy that the owner does not supersede when it was pushed last that long ago.
    pub orphans_after: Option<Duration>,
}

/// What a pass found and did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Nothing was touched.
    pub dry_run: bool,
    /// Groups that lie on their owner.
    pub in_place: usize,
    /// Copies that lie elsewhere, and what became of them.
    pub misplaced: Vec<Misplaced>,
    /// Gateways about which nothing can be told, and why. What they hold, and what they own, was left alone.
    pub unreadable: Vec<Unreadable>,
}

/// A copy of a group on a gateway that does not own it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misplaced {
    /// Its labels.
    pub labels: Labels,
    /// Name of the gateway on which it lies.
    pub on: String,
    /// Name of its owner; none where its labels cannot be told.
    pub owner: Option<String>,
    /// What became of it.
    #[serde(flatten)]
    pub end: End,
}

/// What became of a misplaced copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result", content = "reason")]
pub enum End {
    /// It was deleted, or with `dry_run` would be; why it may go.
    Deleted(&'static str),
    /// It stays; why.
    Kept(Kept),
    /// Its gateway refused the deletion or did not answer; the reason.
    Failed(String),
}

/// A gateway about which nothing can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Its name.
    pub gateway: String,
    /// Whether it is on the ring; one that is only registered in Consul owns nothing.
    pub on_ring: bool,
    /// What it answered.
    pub reason: String,
}

/// Why a copy may go.
const SUPERSEDED: &str = "its owner holds all of it, newer";
const ORPHAN: &str = "left behind for longer than --orphans-after";

impl Report {
    /// How many copies were (or would be) deleted.
    #[must_use]
    pub fn deleted(&self) -> usize {
        self.misplaced.iter().filter(|copy| matches!(copy.end, End::Deleted(_))).count()
    }

    /// Whether something is left to do.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        let done = if self.dry_run { 0 } else { self.deleted() };
        self.misplaced.len() > done || self.unreadable.iter().any(|gateway| gateway.on_ring)
    }
}

/// Sweeps once. `progress` is told how many copies are decided, of how many.
///
/// # Errors
/// [`crate::error::NotSafe`] where a group has no one owner.
pub fn pass(
    fleet: &Fleet,
    gateways: &Gateways,
    guard: &Guard,
    options: Options,
    progress: impl Fn(usize, usize),
) -> anyhow::Result<Report> {
    groups_have_owners(fleet.router.config())?;
    let survey = Survey::read(gateways, fleet);
    let mut report =
        Report { dry_run: options.dry_run, unreadable: unreadable(&survey), ..Report::default() };
    let mut removals = Vec::new();
    let mut removed = Vec::new();
    for (on, reading) in survey.gateways.iter().enumerate() {
        for group in reading.known().map_or(&[][..], |contents| &contents.groups) {
            let Some(found) = judge(fleet, &survey, on, group, options) else {
                report.in_place += 1;
                continue;
            };
            if let Some(removal) = found.removal {
                removals.push(removal);
                removed.push(report.misplaced.len());
            }
            report.misplaced.push(found.copy);
        }
    }
    if !options.dry_run && !removals.is_empty() {
        progress(0, removals.len());
        let fates = batch::remove(gateways, &survey, &removals, guard, |done| progress(done, removals.len()));
        for (index, fate) in removed.into_iter().zip(fates) {
            match fate {
                Fate::Deleted => {}
                Fate::Kept(reason) => report.misplaced[index].end = End::Kept(Kept::Doubt(reason)),
                Fate::Failed(reason) => report.misplaced[index].end = End::Failed(reason),
            }
        }
    }
    Ok(report)
}

/// Which gateways told nothing.
pub(crate) fn unreadable(survey: &Survey) -> Vec<Unreadable> {
    let told = |reading: &Reading| {
        let reason = reading.known().err()?.to_owned();
        Some(Unreadable { gateway: reading.gateway.name().to_owned(), on_ring: reading.on_ring, reason })
    };
    survey.gateways.iter().filter_map(told).collect()
}

struct Found<'s> {
    copy: Misplaced,
    removal: Option<Removal<'s>>,
}

/// What is to become of a group that lies on a gateway; `None` when it lies on its owner.
fn judge<'s>(
    fleet: &Fleet,
    survey: &'s Survey,
    on: usize,
    group: &'s Group<IgnoredAny>,
    options: Options,
) -> Option<Found<'s>> {
    let name = |index: usize| survey.gateways[index].gateway.name().to_owned();
    let found = |owner: Option<usize>, end, removal| {
        let copy = Misplaced { labels: group.labels.clone(), on: name(on), owner: owner.map(name), end };
        Some(Found { copy, removal })
    };
    if let Some(doubt) = &group.doubt {
        return found(None, End::Kept(Kept::Doubt(doubt.clone())), None);
    }
    let Some(place) = place(&fleet.router, &group.labels) else {
        return found(None, End::Kept(Kept::Doubt(NO_PATH.to_owned())), None);
    };
    if place.owner == on {
        return None;
    }
    let go = |why, owner| {
        let removal = Removal { on, group, path: place.path.clone(), owner };
        found(Some(place.owner), End::Deleted(why), Some(removal))
    };
    match compare(survey, on, group, place.owner) {
        Ok(()) => go(SUPERSEDED, Some(place.owner)),
        Err(kept)
            if !matches!(kept, Kept::Doubt(_)) && is_orphan(survey.gateways[on].known(), group, options) =>
        {
            go(ORPHAN, None)
        }
        Err(kept) => found(Some(place.owner), End::Kept(kept), None),
    }
}

pub(crate) const NO_PATH: &str = "no push path leads to its labels by these settings (utf8_names?)";

/// Whether the owner supersedes the copy on gateway `on`.
pub(crate) fn compare(
    survey: &Survey,
    on: usize,
    group: &Group<IgnoredAny>,
    owner: usize,
) -> Result<(), Kept> {
    let doubt = |reason: &str| Kept::Doubt(reason.to_owned());
    let copy_at = survey.gateways[on].known().map_err(doubt)?;
    let owner = &survey.gateways[owner];
    let owner_at = owner.known().map_err(|reason| {
        Kept::Doubt(format!("its owner {} cannot be read: {reason}", owner.gateway.name()))
    })?;
    let owned = owner_at.find(&group.labels).map(|group| (group, &owner_at.status.clock));
    superseded((group, &copy_at.status.clock), owned)
}

/// Whether a copy saw no push, taken or refused, for as long as `orphans_after` says.
fn is_orphan(contents: Result<&Contents, &str>, group: &Group<IgnoredAny>, options: Options) -> bool {
    let (Some(after), Ok(contents)) = (options.orphans_after, contents) else {
        return false;
    };
    let last = [group.pushed, group.refused].into_iter().flatten().map(|push| push.time_stamp).max();
    is_older(last.map(|last| contents.status.clock.age(last)), after)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::gateway::client::Status;
    use crate::gateway::clock::Clock;

    #[test]
    fn a_refused_push_shows_that_somebody_is_there() {
        let now = Timestamp::now();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
        let gauge = |minutes: i64| {
            let stamp = now - SignedDuration::from_mins(minutes);
            json!({"time_stamp": stamp.to_string(), "type": "GAUGE", "metrics": [{"value": "1.7e9"}]})
        };
        let is_orphan = |taken: i64, refused: i64| {
            let group = json!({"labels": {"job": "j"}, "last_push_successful": false,
                "push_time_seconds": gauge(taken), "push_failure_time_seconds": gauge(refused)});
            let group: Group<IgnoredAny> = serde_json::from_value(group).unwrap();
            let contents = Contents {
                status: Status { start_time: String::new(), clock: Clock::new(&date, now, now).unwrap() },
                took: Duration::ZERO,
                groups: Vec::new(),
            };
            let options = Options { dry_run: false, orphans_after: Some(Duration::from_secs(3600)) };
            super::is_orphan(Ok(&contents), &group, options)
        };
        assert!(is_orphan(61, 61));
        assert!(!is_orphan(61, 59));
        assert!(!is_orphan(59, 61));
    }
}
