//! The log of a server: standard error, readable on a terminal, else one JSON object per line.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;

/// Starts logging from this level on.
pub(crate) fn start(level: LevelFilter) {
    let log = tracing_subscriber::fmt().with_max_level(level).with_target(false).with_writer(stderr);
    // Fails only if a log was started before, which then gets the events.
    let _ = if stderr().is_terminal() {
        log.try_init()
    } else {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
}
