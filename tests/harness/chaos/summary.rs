//! What a run is to do, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::ledger::Loss;
use crate::Mode;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// `Cluster` or `Endpoint`.
    pub mode: Mode,
    /// How many changes.
    pub changes: usize,
    /// The same seed gives the same changes, though not at the same times.
    pub seed: u64,
}

/// What came of it; displayed as the one line that says it all.
#[derive(Debug)]
pub struct Summary {
    pub(super) settings: Settings,
    pub(super) pushes: u64,
    /// Pushes that were not answered 2xx, or are not where they belong.
    pub lost: Vec<Loss>,
    /// Times until a change was live, undisturbed ones, in ascending order.
    pub(super) live: Vec<Duration>,
    /// The same with something killed on the way.
    pub(super) live_after_kill: Vec<Duration>,
    /// The change that took longest of the undisturbed ones.
    pub(super) slowest: String,
    /// What happened how often.
    pub(super) counts: BTreeMap<String, usize>,
    /// Envoy's log; kept when a push was lost.
    pub envoy_log: PathBuf,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { mode, changes, .. } = self.settings;
        let (p50, p99) = (percentile(&self.live, 50), percentile(&self.live, 99));
        let (pushes, lost) = (self.pushes, self.lost.len());
        write!(f, "chaos mode={mode} changes={changes} pushes={pushes} lost={lost} ")?;
        write!(f, "live_ms_p50={p50} live_ms_p99={p99}")
    }
}

impl Summary {
    /// What happened how often, and how long a change took with something killed on its way.
    #[must_use]
    pub fn details(&self) -> String {
        let counts: Vec<String> = self.counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        let (p50, p99) = (percentile(&self.live_after_kill, 50), percentile(&self.live_after_kill, 99));
        let (counts, slowest) = (counts.join(", "), &self.slowest);
        format!("{counts}; live after a kill: p50 {p50} ms, p99 {p99} ms; slowest without: {slowest}")
    }
}

/// Milliseconds; the smallest time that is not below that part of all.
fn percentile(sorted: &[Duration], percent: usize) -> u128 {
    let index = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(index).map(Duration::as_millis).unwrap_or_default()
}
