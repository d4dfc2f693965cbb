//! The settings and the results of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::ledger::Loss;
use super::plan::SHORT;
use super::registry::Source;
use crate::Mode;

/// The settings of a run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Where the members come from.
    pub source: Source,
    /// `Cluster` or `Endpoint`.
    pub mode: Mode,
    /// Number of changes.
    pub changes: usize,
    /// The same seed gives the same changes, although not at the same times.
    pub seed: u64,
}

impl Settings {
    /// Returns those of the short form: the fewest changes with each kind of change and kill among them, and the same ones in
    /// every run.
    #[must_use]
    pub fn short(source: Source, mode: Mode) -> Self {
        Self { source, mode, changes: SHORT, seed: 12 }
    }
}

/// The results. `Display` prints them as one line.
#[derive(Debug)]
pub struct Summary {
    pub(super) settings: Settings,
    pub(super) pushes: u64,
    /// Pushes that were not answered 2xx, or that are not stored where they belong.
    pub lost: Vec<Loss>,
    /// Times until a change was live, without a kill, in ascending order.
    pub(super) live: Vec<Duration>,
    /// Times until a change was live, with a kill.
    pub(super) live_after_kill: Vec<Duration>,
    /// The slowest change without a kill.
    pub(super) slowest: String,
    /// Number of events by kind.
    pub(super) counts: BTreeMap<String, usize>,
    /// Path of Envoy's log, which is kept if a push was lost.
    pub envoy_log: PathBuf,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { source, mode, changes, .. } = self.settings;
        let (p50, p99) = (percentile(&self.live, 50), percentile(&self.live, 99));
        let (pushes, lost) = (self.pushes, self.lost.len());
        write!(f, "chaos source={source} mode={mode} changes={changes} pushes={pushes} lost={lost} ")?;
        write!(f, "live_ms_p50={p50} live_ms_p99={p99}")
    }
}

impl Summary {
    /// Returns the number of events by kind, and the times of changes with a kill.
    #[must_use]
    pub fn details(&self) -> String {
        let counts: Vec<String> = self.counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        let (p50, p99) = (percentile(&self.live_after_kill, 50), percentile(&self.live_after_kill, 99));
        let (counts, slowest) = (counts.join(", "), &self.slowest);
        let from = self.settings.source.live_from();
        format!(
            "{counts}; live from {from}; after a kill: p50 {p50} ms, p99 {p99} ms; slowest without: {slowest}"
        )
    }
}

/// Returns a percentile in milliseconds.
fn percentile(sorted: &[Duration], percent: usize) -> u128 {
    let index = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(index).map(Duration::as_millis).unwrap_or_default()
}
