//! The section `log`.

use serde::Deserialize;
use tracing::level_filters::LevelFilter;

/// The log goes to standard error. The file of the original and its rotation are accepted and have no effect: the
/// supervisor of the process keeps the log.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: Level,
    pub(crate) filename: Option<String>,
    pub(crate) max_size: Option<u64>,
    pub(crate) max_age: Option<u64>,
    pub(crate) max_backups: Option<u64>,
}

/// The least serious event that is logged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Debug,
    #[default]
    Info,
    #[serde(alias = "warning")]
    Warn,
    #[serde(alias = "dpanic", alias = "panic", alias = "fatal")]
    Error,
}

impl Level {
    /// Returns the filter of the log.
    pub(crate) fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        }
    }
}
