//! How results are printed.

use clap::ValueEnum;

/// The form of what goes to standard output; warnings and errors go to standard error in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    #[value(alias = "text")]
    Table,
    /// One JSON document.
    Json,
}

/// What a duration of milliseconds is called in reports; saturates after 584 million years.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
