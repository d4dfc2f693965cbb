//! The settings and the results of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::ledger::Counts;
use crate::Mode;

/// The settings of a run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// `Cluster` or `Endpoint`.
    pub mode: Mode,
    /// The same seed gives the same inputs, although not at the same times.
    pub seed: u64,
    /// Ends after this number of hostile inputs.
    pub rounds: Option<usize>,
    /// Ends after this time.
    pub time: Option<Duration>,
}

/// The results. `Display` prints them as a table.
#[derive(Debug)]
pub struct Summary {
    pub(super) settings: Settings,
    pub(super) counts: Counts,
    /// Number of hostile inputs by kind.
    pub inputs: BTreeMap<&'static str, usize>,
    /// Number of pushes that can end a gateway.
    pub killers: usize,
    /// Number of gateways that ended.
    pub ended: usize,
    /// Broken promises.
    pub violations: Vec<String>,
    /// The folder with the logs, which is kept if there are violations.
    pub logs: PathBuf,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { mode, seed, .. } = self.settings;
        let Counts { answered, dead, shed, lost, refused, misplaced } = self.counts;
        writeln!(f, "abuse in mode {mode}, seed {seed}")?;
        let inputs: usize = self.inputs.values().sum();
        let rows = [
            ("honest pushes, answered 2xx", answered),
            ("  refused while the gateway was dead", dead),
            ("  refused while Envoy shed load", shed),
            ("  refused for another reason", refused),
            ("  lost", lost),
            ("  misplaced", misplaced),
            ("gateways ended", self.ended as u64),
            ("  by pushes that can end one", self.killers as u64),
            ("hostile inputs", inputs as u64),
        ];
        for (what, count) in rows {
            writeln!(f, "{what:<40}{count:>12}")?;
        }
        for (kind, count) in &self.inputs {
            writeln!(f, "  {kind:<38}{count:>12}")?;
        }
        write!(f, "{:<40}{:>12}", "violations", self.violations.len())
    }
}
