//! The report of a drain, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::gateway::api::Labels;
use crate::output;
use crate::reason::Reason;

/// Maximum number of kept groups in the table; most share one reason.
const SHOWN: usize = 50;

/// Result for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DrainResult {
    /// The owner holds the group now, but did not before.
    Carried,
    /// The owner already held the whole group.
    Held,
    /// The group had no accepted push, so there was nothing to copy.
    Stub,
    /// Another client deleted the group during the drain.
    Gone,
    /// The group stays, for this reason.
    Kept(Reason),
}

/// The report of a drain; docs/command/drain.md documents its JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    /// host:port of the drained gateway.
    pub(crate) gateway: String,
    /// Nothing was done; the numbers are a forecast.
    pub(crate) dry_run: bool,
    pub(crate) interrupted: bool,
    /// By name of the owner.
    pub(crate) owners: BTreeMap<String, Counts>,
    /// Groups that stay on the gateway.
    pub(crate) kept: Vec<KeptGroup>,
    /// Number of groups that the gateway holds now.
    pub(crate) left: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) carried: usize,
    pub(crate) held: usize,
    pub(crate) stubs: usize,
    pub(crate) gone: usize,
    pub(crate) kept: usize,
}

/// A group that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct KeptGroup {
    /// Empty if unknown.
    pub(crate) labels: Labels,
    /// Name of the owner; `None` if unknown.
    pub(crate) owner: Option<String>,
    /// Reason and advice.
    #[serde(flatten)]
    pub(crate) reason: Reason,
}

impl Report {
    pub(super) fn add(&mut self, labels: &Labels, owner: Option<&str>, result: DrainResult) {
        let mut counts = owner.map(|owner| self.owners.entry(owner.to_owned()).or_default());
        let mut count = |field: fn(&mut Counts) -> &mut usize| {
            if let Some(counts) = counts.as_deref_mut() {
                *field(counts) += 1;
            }
        };
        match result {
            DrainResult::Carried => count(|counts| &mut counts.carried),
            DrainResult::Held => count(|counts| &mut counts.held),
            DrainResult::Stub => count(|counts| &mut counts.stubs),
            DrainResult::Gone => count(|counts| &mut counts.gone),
            DrainResult::Kept(reason) => {
                count(|counts| &mut counts.kept);
                self.kept.push(KeptGroup { labels: labels.clone(), owner: owner.map(str::to_owned), reason });
            }
        }
    }

    /// Returns whether another run has work to do: a group was kept or pushed during the drain, or a dry run found work.
    /// With `keep`, groups that their owners hold may remain.
    pub(crate) fn is_unfinished(&self, keep: bool) -> bool {
        let acts = self
            .owners
            .values()
            .any(|counts| counts.carried > 0 || (!keep && counts.held + counts.stubs > 0));
        !self.kept.is_empty()
            || self.interrupted
            || (self.dry_run && acts)
            || (!self.dry_run && !keep && self.left > 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = output::table(&["OWNER", "CARRIED", "HELD ALREADY", "STUBS", "GONE", "KEPT"]);
        for (name, counts) in &self.owners {
            let Counts { carried, held, stubs, gone, kept } = counts;
            table.add_row([
                name.clone(),
                carried.to_string(),
                held.to_string(),
                stubs.to_string(),
                gone.to_string(),
                kept.to_string(),
            ]);
        }
        if !self.owners.is_empty() {
            writeln!(f, "{table}")?;
        }
        let mut table = output::table(&["GROUP", "OWNER", "REASON"]);
        for kept in self.kept.iter().take(SHOWN) {
            let owner = kept.owner.as_deref().unwrap_or("unknown");
            table.add_row([&output::group(&kept.labels), owner, &kept.reason.text]);
        }
        if !self.kept.is_empty() {
            writeln!(f, "\n{table}")?;
        }
        if self.kept.len() > SHOWN {
            writeln!(f, "… and {} more; --output json has all", self.kept.len() - SHOWN)?;
        }
        let would = if self.dry_run { " (dry run: nothing was done)" } else { "" };
        let gap = if self.owners.is_empty() && self.kept.is_empty() { "" } else { "\n" };
        let groups = if self.left == 1 { "group" } else { "groups" };
        write!(f, "{gap}{} holds {} {groups} now{would}", self.gateway, self.left)
    }
}
