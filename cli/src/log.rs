//! The log of long-running commands.

use std::io::{self, IsTerminal, Write, stderr};

use tracing::Level;

use crate::text;

/// Starts logging to standard error: readable text on a terminal, else one JSON object per line.
pub(crate) fn start() {
    let is_terminal = stderr().is_terminal();
    let writer = move || SafeLog { json: !is_terminal };
    let log = tracing_subscriber::fmt().with_max_level(Level::INFO).with_target(false).with_writer(writer);
    // Fails only if a log was started before, which then gets the events.
    let _ = if is_terminal {
        log.try_init()
    } else {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
}

/// Replaces the last reason of a state by the present one and returns whether it is another: an event is logged once.
pub(crate) fn is_news(last: &mut Option<String>, now: Option<String>) -> bool {
    let is_news = *last != now;
    *last = now;
    is_news
}

/// Escapes text of others in events, which arrive whole.
struct SafeLog {
    json: bool,
}

impl Write for SafeLog {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let safe = if self.json { text::json(&text) } else { text::lines(&text) };
        stderr().write_all(safe.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}
