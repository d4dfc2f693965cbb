//! Deleting groups by what is known of them, on every gateway where they lie, whoever owns them.
//!
//! Each is read again right before ([`crate::cleanup::delete_batch`]); what changed since it was chosen is left.

use jiff::SignedDuration;
use pushring_router::Router;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::cleanup::delete_batch as batch;
use crate::cleanup::delete_batch::{Fate, Removal};
use crate::cleanup::guard::Guard;
use crate::command::groups::states::{age, seconds};
use crate::command::sweep::pass::{NO_PATH, Unreadable, unreadable};
use crate::fleet::group_filter::{Select, is_older};
use crate::fleet::source::Fleet;
use crate::fleet::survey::{Contents, Survey, place};
use crate::gateway::api::{Group, Labels};
use crate::gateway::pool::Gateways;

/// A copy of a group that is to go, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copy {
    /// Its labels.
    pub labels: Labels,
    /// Name of the gateway on which it lies.
    pub on: String,
    /// Seconds since its last push that was taken, by that gateway's clock; none: never, or it cannot be told.
    pub age_seconds: Option<i64>,
    /// What became of it.
    #[serde(flatten)]
    pub end: End,
}

/// What became of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result", content = "reason")]
pub enum End {
    /// It was deleted, or with `dry_run` would be.
    Deleted,
    /// It stays; why.
    Kept(String),
    /// Its gateway refused the deletion or did not answer; the reason.
    Failed(String),
}

/// What is to become of a copy.
pub(crate) enum Verdict {
    /// It is none of those that were asked for.
    Pass,
    /// It goes.
    Go,
    /// It is one of those, but stays; why.
    Keep(String),
}

/// The copies that are to go.
#[derive(Debug)]
pub struct Plan<'s> {
    survey: &'s Survey,
    /// All that were asked for; those that go as if they were gone already.
    pub copies: Vec<Copy>,
    /// How many copies are none of those.
    pub passed: usize,
    removals: Vec<Removal<'s>>,
    /// Which of `copies` each removal is.
    indices: Vec<usize>,
}

/// What `pushring delete` found and did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Nothing was touched.
    pub dry_run: bool,
    /// The copies that were chosen, and what became of them.
    pub groups: Vec<Copy>,
    /// Gateways about which nothing can be told, and why: such groups may lie there too.
    pub unreadable: Vec<Unreadable>,
}

/// How many copies were (or would be) deleted.
#[must_use]
pub fn deleted(copies: &[Copy]) -> usize {
    copies.iter().filter(|copy| copy.end == End::Deleted).count()
}

impl Report {
    /// Whether something is left to do. A gateway that cannot be read counts, on the ring or not.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        let done = if self.dry_run { 0 } else { deleted(&self.groups) };
        self.groups.len() > done || !self.unreadable.is_empty()
    }
}

/// Chooses the groups of a survey that `select` takes.
#[must_use]
pub fn choose<'s>(fleet: &Fleet, survey: &'s Survey, select: &Select) -> Plan<'s> {
    Plan::new(&fleet.router, survey, |contents, group| {
        let age = age(contents, group);
        if !select.takes(&group.labels) || select.older_than.is_some_and(|than| !is_older(age, than)) {
            return Verdict::Pass;
        }
        Verdict::Go
    })
}

impl<'s> Plan<'s> {
    pub(crate) fn new(
        router: &Router,
        survey: &'s Survey,
        judge: impl Fn(&Contents, &Group<IgnoredAny>) -> Verdict,
    ) -> Self {
        let mut plan =
            Self { survey, copies: Vec::new(), passed: 0, removals: Vec::new(), indices: Vec::new() };
        for (on, reading) in survey.gateways.iter().enumerate() {
            let Ok(contents) = reading.known() else { continue };
            for group in &contents.groups {
                plan.take(router, (on, contents), group, judge(contents, group));
            }
        }
        plan
    }

    fn take(
        &mut self,
        router: &Router,
        (on, contents): (usize, &Contents),
        group: &'s Group<IgnoredAny>,
        verdict: Verdict,
    ) {
        let path = || match &group.doubt {
            Some(doubt) => Err(doubt.clone()),
            None => place(router, &group.labels).map(|place| place.path).ok_or_else(|| NO_PATH.to_owned()),
        };
        let end = match verdict {
            Verdict::Pass => {
                self.passed += 1;
                return;
            }
            Verdict::Keep(reason) => End::Kept(reason),
            Verdict::Go => match path() {
                Ok(path) => {
                    self.removals.push(Removal { on, group, path, owner: None });
                    self.indices.push(self.copies.len());
                    End::Deleted
                }
                Err(reason) => End::Kept(reason),
            },
        };
        self.copies.push(Copy {
            labels: group.labels.clone(),
            on: self.survey.gateways[on].gateway.name().to_owned(),
            age_seconds: age(contents, group).map(seconds),
            end,
        });
    }

    /// How many copies go.
    #[must_use]
    pub fn removals(&self) -> usize {
        self.removals.len()
    }

    /// What would be done.
    #[must_use]
    pub fn dry_run(self) -> Report {
        Report { dry_run: true, unreadable: unreadable(self.survey), groups: self.copies }
    }

    /// Deletes them. `progress` is told how many are decided, of how many.
    #[must_use]
    pub fn carry_out(self, gateways: &Gateways, guard: &Guard, progress: impl Fn(usize, usize)) -> Report {
        let unreadable = unreadable(self.survey);
        Report { dry_run: false, unreadable, groups: self.remove(gateways, guard, progress) }
    }

    pub(crate) fn remove(
        mut self,
        gateways: &Gateways,
        guard: &Guard,
        progress: impl Fn(usize, usize),
    ) -> Vec<Copy> {
        let all = self.removals.len();
        if all > 0 {
            progress(0, all);
            let done = |done| progress(done, all);
            let fates = batch::remove(gateways, self.survey, &self.removals, guard, done);
            for (index, fate) in self.indices.into_iter().zip(fates) {
                match fate {
                    Fate::Deleted => {}
                    Fate::Kept(reason) => self.copies[index].end = End::Kept(reason),
                    Fate::Failed(reason) => self.copies[index].end = End::Failed(reason),
                }
            }
        }
        self.copies
    }
}

/// Why a group stays whose age has to be known.
pub(crate) fn unknown_age(group: &Group<IgnoredAny>) -> String {
    group.doubt.clone().unwrap_or_else(|| {
        let reason = if group.is_stub() {
            "no push to it was ever taken"
        } else {
            crate::command::groups::states::NO_PUSH_TIME
        };
        format!("its age is unknown: {reason}")
    })
}

/// How long ago the last push was, taken or refused, by the clock of its gateway. `None` where the last one that was
/// taken cannot be told.
pub(crate) fn idle(contents: &Contents, group: &Group<IgnoredAny>) -> Option<SignedDuration> {
    let taken = age(contents, group)?;
    let refused = group.last_refusal().map(|refused| contents.status.clock.age(refused));
    Some(refused.map_or(taken, |refused| taken.min(refused)))
}
