//! The section `catalogue`.

use std::path::PathBuf;

use serde::Deserialize;

/// The embedded catalogue, and the time that each catalogue keeps series.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Catalogue {
    /// Directory of the embedded catalogue.
    pub(crate) path: PathBuf,
    /// Days that a series stays after it was last seen. Longer than Redis knows it, also where another process uses Redis.
    pub(crate) retention_days: u32,
}

impl Catalogue {
    /// Returns the retention in seconds.
    pub(crate) fn retention_seconds(&self) -> u64 {
        u64::from(self.retention_days) * 86_400
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self { path: "metric-index-data".into(), retention_days: 90 }
    }
}
