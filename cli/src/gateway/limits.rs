//! Time limits of single steps. Users never set them; tests do, to be independent of the speed of the machine.

use std::time::Duration;

use humantime::parse_duration;

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Limits {
    /// The oldest that a decision may be when a request based on it is sent. Whatever reaches a gateway within this time
    /// may be overwritten or deleted, so it is short
    #[arg(long, hide = true, env = "PUSHRING_MAX_DECISION_AGE", default_value = "1s", value_parser = parse_duration)]
    pub(crate) max_decision_age: Duration,
    /// A gateway whose API takes longer is read again by its exposition, which is several times faster but shows only
    /// whether a group changed
    #[arg(long, hide = true, env = "PUSHRING_SLOW_API", default_value = "300ms", value_parser = parse_duration)]
    pub(crate) slow_api: Duration,
    /// How long to wait for the answer to a deletion. A deletion that waits longer for a connection is not sent
    #[arg(long, hide = true, env = "PUSHRING_MAX_DELETE_TIME", default_value = "1s", value_parser = parse_duration)]
    pub(crate) max_delete_time: Duration,
}
