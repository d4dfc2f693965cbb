//! Time limits of single steps. Only tests change them, so that they do not depend on the speed of the machine.

use std::time::Duration;

use humantime::parse_duration;

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Limits {
    /// Maximum age of a decision when the request based on it is sent. It is short, because a push that arrives within
    /// this time may be overwritten or deleted
    #[arg(long, hide = true, env = "PUSHRING_MAX_DECISION_AGE", default_value = "1s", value_parser = parse_duration)]
    pub(crate) max_decision_age: Duration,
    /// If the API takes longer, the gateway is reread by its exposition, which is faster but shows only
    /// whether a group changed
    #[arg(long, hide = true, env = "PUSHRING_SLOW_API", default_value = "300ms", value_parser = parse_duration)]
    pub(crate) slow_api: Duration,
    /// Timeout of a deletion. A deletion that waits longer for a connection is not sent
    #[arg(long, hide = true, env = "PUSHRING_MAX_DELETE_TIME", default_value = "1s", value_parser = parse_duration)]
    pub(crate) max_delete_time: Duration,
    /// Time after a copy from which a reading shows every push that the copy may have overwritten: a mirrored push arrives
    /// within this time
    #[arg(long, hide = true, env = "PUSHRING_CONFIRM_AFTER", default_value = "1s", value_parser = parse_duration)]
    pub(crate) confirm_after: Duration,
    /// A younger push may have reached only one of owner and replica yet
    #[arg(long, hide = true, env = "PUSHRING_IN_FLIGHT", default_value = "2s", value_parser = parse_duration)]
    pub(crate) in_flight: Duration,
}
