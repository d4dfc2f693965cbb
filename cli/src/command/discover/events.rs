//! The log of `discover`: each event once, when it begins and when it changes.

use tracing::{info, warn};

use crate::command::publish::Report;
use crate::discover::memory::Change;
use crate::text;

/// Remembers what was logged.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    away: Option<String>,
    held: Option<String>,
    error: Option<String>,
    targets: Option<String>,
    warnings: Vec<String>,
}

impl EventLog {
    /// Logs why the source cannot be read; `None`: it can.
    pub(super) fn source(&mut self, away: Option<&str>) {
        let away = away.map(text::error);
        if away == self.away {
            return;
        }
        match &away {
            Some(error) => warn!(error, "source away; the ring stays"),
            None => info!("source back"),
        }
        self.away = away;
    }

    pub(super) fn changes(&self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Vanished(member) => info!(member, "vanished; counts as registered (--forget)"),
                Change::Forgotten(member) => info!(member, "forgotten"),
                Change::Left(member) => info!(member, "left"),
            }
        }
    }

    /// Logs why the last ring stays; `None`: it does not.
    pub(super) fn held(&mut self, held: Option<String>) {
        if held == self.held {
            return;
        }
        match &held {
            Some(reason) => warn!(reason, "held"),
            None => info!("no longer held"),
        }
        self.held = held;
    }

    /// Logs why the files for Prometheus cannot be written; `None`: they can.
    pub(super) fn targets(&mut self, error: Option<anyhow::Error>) {
        let error = error.map(|error| text::error(&format!("{error:#}")));
        if error == self.targets {
            return;
        }
        match &error {
            Some(error) => warn!(error, "targets not written"),
            None => info!("targets written"),
        }
        self.targets = error;
    }

    pub(super) fn published(&mut self, report: &Report) {
        for warning in report.warnings.iter().filter(|warning| !self.warnings.contains(warning)) {
            warn!(warning = text::error(warning));
        }
        self.warnings.clone_from(&report.warnings);
        if self.error.take().is_some() || !report.moved.is_empty() {
            let [added, kept, dropped] =
                [&report.added, &report.kept, &report.dropped].map(|all| all.join(", "));
            let Report { members, ms, .. } = report;
            info!(members, added, kept, dropped, files = report.moved.join(", "), ms, "published");
        }
    }

    pub(super) fn failed(&mut self, error: &anyhow::Error) {
        let error = text::error(&format!("{error:#}"));
        if self.error.as_ref() != Some(&error) {
            warn!(error, "not published");
        }
        self.error = Some(error);
    }
}
