//! The log of `discover`: each event once, when it begins and when it changes.

use tracing::{info, warn};

use crate::command::publish::Report;
use crate::discover::memory::Change;
use crate::log::is_news;
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
        if is_news(&mut self.away, away.map(text::error)) {
            match &self.away {
                Some(error) => warn!(error, "source away; the ring stays"),
                None => info!("source back"),
            }
        }
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
        if is_news(&mut self.held, held) {
            match &self.held {
                Some(reason) => warn!(reason, "held"),
                None => info!("no longer held"),
            }
        }
    }

    /// Logs why the files for Prometheus cannot be written; `None`: they can.
    pub(super) fn targets(&mut self, error: Option<anyhow::Error>) {
        if is_news(&mut self.targets, error.map(|error| text::error(&format!("{error:#}")))) {
            match &self.targets {
                Some(error) => warn!(error, "targets not written"),
                None => info!("targets written"),
            }
        }
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
        if is_news(&mut self.error, Some(error.clone())) {
            warn!(error, "not published");
        }
    }
}
