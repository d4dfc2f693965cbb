//! The log of watch mode: every deletion, and every other event once, when it begins and when it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tracing::{info, warn};

use super::repair::report::{RepairResult, changed};
use super::report::{PassResult, Report};
use crate::cleanup::copy::{DeletionResult, deleted};
use crate::command::expire::report::Report as ExpireReport;
use crate::log::is_news;
use crate::output;
use crate::reason::{Code, Reason};
use crate::text;

/// Number of kept copies logged per pass; the others are counted, because an outage can keep thousands.
const SHOWN: usize = 100;

/// Remembers logged events, so that each is logged once.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    kept: BTreeSet<(String, String, String, Code)>,
    /// Labels, the two gateways, and why they differ.
    unrepaired: BTreeSet<(String, String, String, String, Code)>,
    unreadable: BTreeMap<String, String>,
    paused: Option<String>,
    error: Option<String>,
}

impl EventLog {
    /// Logs a pass that did not fail.
    pub(super) fn pass(&mut self, ended: PassResult, swept: &Report, expired: &ExpireReport, took: Duration) {
        if self.error.take().is_some() {
            info!("passes succeed again");
        }
        if !swept.dry_run {
            deletions(swept, expired);
            repairs(swept);
        }
        self.kept(swept, expired);
        self.not_repaired(swept);
        self.unreadable(swept);
        let of = |count: usize| if swept.dry_run { 0 } else { count };
        info!(
            result = ended.word(),
            in_place = swept.in_place,
            replicas = swept.replicas,
            deleted = of(deleted(&swept.misplaced)),
            kept = swept.misplaced.len() - deleted(&swept.misplaced),
            expired = of(deleted(&expired.groups)),
            healed = of(deleted(swept.stubs())),
            repaired = of(changed(swept.repaired())),
            unrepaired = swept.repaired().len() - changed(swept.repaired()),
            unreadable = swept.unreadable.len(),
            ms = output::millis(took),
            "pass"
        );
    }

    fn kept(&mut self, swept: &Report, expired: &ExpireReport) {
        let mut now = BTreeSet::new();
        let mut add = |labels, on: &str, result: &DeletionResult, prefix: &str| {
            if let DeletionResult::Kept { reason } = result {
                let Reason { text, code } = reason.to_reason();
                now.insert((output::group(labels), on.to_owned(), format!("{prefix}{text}"), code));
            }
        };
        swept.misplaced.iter().for_each(|copy| add(&copy.labels, &copy.on, &copy.result, ""));
        swept.stubs().iter().for_each(|copy| add(&copy.labels, &copy.on, &copy.result, "not healed: "));
        expired.groups.iter().for_each(|copy| add(&copy.labels, &copy.on, &copy.result, "not expired: "));
        let new: Vec<_> = now.difference(&self.kept).collect();
        for (labels, on, reason, code) in new.iter().take(SHOWN) {
            info!(labels, on, reason, %code, "kept");
        }
        if new.len() > SHOWN {
            info!(more = new.len() - SHOWN, "kept: more copies with a new reason");
        }
        self.kept = now;
    }

    /// Logs the differences that stay, each once while its reason is the same.
    fn not_repaired(&mut self, report: &Report) {
        let mut now = BTreeSet::new();
        for line in report.repaired() {
            if let Some(reason) = line.result.reason() {
                let (labels, text) = (output::group(&line.labels), reason.text.clone());
                now.insert((labels, line.from.clone(), line.to.clone(), text, reason.code));
            }
        }
        let new: Vec<_> = now.difference(&self.unrepaired).collect();
        for (labels, from, to, reason, code) in new.iter().take(SHOWN) {
            warn!(labels, from, to, reason, %code, "not repaired");
        }
        if new.len() > SHOWN {
            warn!(more = new.len() - SHOWN, "not repaired: more groups with a new reason");
        }
        self.unrepaired = now;
    }

    fn unreadable(&mut self, report: &Report) {
        let found = report.unreadable.iter().map(|gateway| (gateway.gateway.clone(), gateway.reason.clone()));
        let now: BTreeMap<String, String> = found.collect();
        for (gateway, reason) in &now {
            if self.unreadable.get(gateway) != Some(reason) {
                warn!(gateway, reason, "gateway cannot be read");
            }
        }
        for gateway in self.unreadable.keys().filter(|gateway| !now.contains_key(*gateway)) {
            info!(gateway, "gateway readable again or removed");
        }
        self.unreadable = now;
    }

    /// Logs the reason why passes are dry runs for now; `None`: they are not.
    pub(super) fn paused(&mut self, reason: Option<String>) {
        if is_news(&mut self.paused, reason) {
            match &self.paused {
                Some(reason) => warn!(reason, "paused: not safe to delete"),
                None => info!("safe again"),
            }
        }
    }

    /// Logs the error of a pass.
    pub(super) fn failed(&mut self, error: &anyhow::Error) {
        let error = text::error(&format!("{error:#}"));
        if is_news(&mut self.error, Some(error.clone())) {
            warn!(error, "pass failed: retrying at the next interval");
        }
    }
}

/// Logs the changes of a repair, counted for each pair of gateways: an owner may have lost thousands of groups.
fn repairs(swept: &Report) {
    let mut counts: BTreeMap<(&str, &str), [usize; 2]> = BTreeMap::new();
    for line in swept.repaired() {
        let count = match line.result {
            RepairResult::Copied => 0,
            RepairResult::Removed => 1,
            RepairResult::Kept { .. } | RepairResult::Failed { .. } => continue,
        };
        counts.entry((&line.from, &line.to)).or_default()[count] += 1;
    }
    for ((from, to), [copied, removed]) in counts {
        info!(from, to, copied, removed, "repaired");
    }
}

/// Logs every deletion, failed ones included.
fn deletions(swept: &Report, expired: &ExpireReport) {
    for copy in &swept.misplaced {
        let (labels, on, owner) = (output::group(&copy.labels), &copy.on, copy.detail.owner.as_deref());
        match &copy.result {
            DeletionResult::Deleted { why } => info!(labels, on, owner, why, "deleted"),
            DeletionResult::Failed { reason } => {
                warn!(labels, on, owner, reason = reason.text, "not deleted")
            }
            DeletionResult::Kept { .. } => {}
        }
    }
    for copy in swept.stubs() {
        let (labels, on, poison) = (output::group(&copy.labels), &copy.on, &copy.detail.poison);
        match &copy.result {
            DeletionResult::Deleted { .. } => info!(labels, on, poison, "healed"),
            DeletionResult::Failed { reason } => {
                warn!(labels, on, poison, reason = reason.text, "not healed")
            }
            DeletionResult::Kept { .. } => {}
        }
    }
    for copy in &expired.groups {
        let (labels, on, age_seconds) = (output::group(&copy.labels), &copy.on, copy.detail.age_seconds);
        match &copy.result {
            DeletionResult::Deleted { .. } => info!(labels, on, age_seconds, "expired"),
            DeletionResult::Failed { reason } => warn!(labels, on, reason = reason.text, "not deleted"),
            DeletionResult::Kept { .. } => {}
        }
    }
}
