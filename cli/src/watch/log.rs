//! The log of a sweeper that goes on: every deletion, and every other thing once, when it begins and when it changes.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use tracing::{Level, info, warn};

use super::metrics::Ended;
use crate::output;
use crate::sweep::{End, Misplaced, Report};

/// Kept copies that are told singly per pass; of an outage with thousands of them the rest is only counted.
const SHOWN: usize = 100;

/// Logs to standard error from now on: for people on a terminal, else a JSON object a line.
pub(super) fn start() {
    let log = tracing_subscriber::fmt().with_max_level(Level::INFO).with_target(false).with_writer(stderr);
    // Fails only where a log was started already, which then takes the events.
    let _ = if stderr().is_terminal() {
        log.try_init()
    } else {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
}

/// What was told, so that it is not told again.
#[derive(Debug, Default)]
pub(super) struct Journal {
    kept: BTreeMap<String, String>,
    unreadable: BTreeMap<String, String>,
    holding: Option<String>,
    error: Option<String>,
}

impl Journal {
    /// A pass that came to its end.
    pub(super) fn pass(&mut self, ended: Ended, report: &Report, expired: usize, took: Duration) {
        if self.error.take().is_some() {
            info!("passes succeed again");
        }
        for copy in &report.misplaced {
            let (group, owner) = names(copy);
            match &copy.end {
                End::Deleted(why) if !report.dry_run => {
                    info!(labels = group, on = copy.on, owner, why, "deleted");
                }
                End::Failed(reason) => warn!(labels = group, on = copy.on, owner, reason, "not deleted"),
                End::Deleted(_) | End::Kept(_) => {}
            }
        }
        self.kept(report);
        self.unreadable(report);
        info!(
            result = ended.word(),
            in_place = report.in_place,
            deleted = if report.dry_run { 0 } else { report.deleted() },
            kept = report.misplaced.len() - report.deleted(),
            expired,
            unreadable = report.unreadable.len(),
            ms = output::millis(took),
            "pass"
        );
    }

    fn kept(&mut self, report: &Report) {
        let mut now = BTreeMap::new();
        let mut shown = 0;
        for copy in &report.misplaced {
            let End::Kept(reason) = &copy.end else { continue };
            let (group, owner) = names(copy);
            let key = format!("{group} on {}", copy.on);
            let reason = reason.to_string();
            if self.kept.get(&key) != Some(&reason) {
                shown += 1;
                if shown <= SHOWN {
                    info!(labels = group, on = copy.on, owner, reason, "kept");
                }
            }
            now.insert(key, reason);
        }
        if shown > SHOWN {
            info!(more = shown - SHOWN, "kept: more whose reason is new");
        }
        self.kept = now;
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
            info!(gateway, "gateway can be read again, or is gone");
        }
        self.unreadable = now;
    }

    /// Why passes touch nothing for now; `None`: they do.
    pub(super) fn holding(&mut self, reason: Option<String>) {
        if reason == self.holding {
            return;
        }
        match &reason {
            Some(reason) => warn!(reason, "nothing is touched for now"),
            None => info!("safe again"),
        }
        self.holding = reason;
    }

    /// A pass that ended with an error.
    pub(super) fn failed(&mut self, error: &anyhow::Error) {
        let error = format!("{error:#}");
        if self.error.as_ref() != Some(&error) {
            warn!(error, "pass failed: tried again at the next interval");
        }
        self.error = Some(error);
    }
}

fn names(copy: &Misplaced) -> (String, &str) {
    (output::group(&copy.labels), copy.owner.as_deref().unwrap_or("?"))
}
