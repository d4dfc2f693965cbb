//! The settings and the results of a run.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::fault::Kind;
use super::watcher::Seen;
use crate::Mode;

/// The settings of a run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// `Cluster` or `Endpoint`.
    pub mode: Mode,
    /// Number of gateways that are killed.
    pub kills: usize,
    /// Number of members that join or leave.
    pub changes: usize,
    /// The same seed gives the same steps, although not at the same times.
    pub seed: u64,
}

/// The results. `Display` prints them as one line.
#[derive(Debug)]
pub struct Summary {
    pub(super) mode: Mode,
    pub(super) kills: usize,
    pub(super) changes: usize,
    pub(super) pushes: u64,
    pub(super) failed_pushes: u64,
    pub(super) seen: Seen,
    /// Scrapes of Prometheus, and the failed ones.
    pub(super) prometheus: (u64, u64),
    /// Times from the end of a step until all groups had two copies, in ascending order.
    pub(super) restored: Vec<Duration>,
    /// The broken promises, with what happened before.
    pub faults: Vec<String>,
    /// Folder of the logs, which is kept if a promise was broken.
    pub logs: PathBuf,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |kind| self.seen.faults.get(&kind).copied().unwrap_or_default();
        let (mode, kills, changes, pushes) = (self.mode, self.kills, self.changes, self.pushes);
        let (scrapes, failed) = (self.seen.scrapes + self.prometheus.0, self.seen.failed + self.prometheus.1);
        write!(f, "replicas mode={mode} kills={kills} changes={changes} pushes={pushes} scrapes={scrapes} ")?;
        write!(f, "missing={} twice={} ", count(Kind::Missing), self.seen.twice)?;
        write!(f, "older={} returned={} failed={failed}", count(Kind::Older), count(Kind::Returned))
    }
}

impl Summary {
    /// Returns whether all promises were kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.seen.is_clean() && self.prometheus.1 == 0
    }

    /// Returns further numbers.
    #[must_use]
    pub fn details(&self) -> String {
        let of = |percent: usize| {
            let index = (self.restored.len() * percent).div_ceil(100).max(1) - 1;
            self.restored.get(index).map(Duration::as_millis).unwrap_or_default()
        };
        format!(
            "{} pushes without success, {} scrapes of Prometheus, {} newer pushes overtaken by a repair for a while; \
             two copies of all groups again after: p50 {} ms, p99 {} ms",
            self.failed_pushes,
            self.prometheus.0,
            self.seen.faults.get(&Kind::Overtaken).copied().unwrap_or_default(),
            of(50),
            of(99)
        )
    }
}
