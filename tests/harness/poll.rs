//! Waiting for a condition, which the tests do instead of sleeping.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Far longer than any condition takes on a busy machine: only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(10);

/// Calls `condition` until it returns a value, for at most three minutes.
///
/// # Errors
/// After the deadline, with `what` the caller waited for.
pub fn poll_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if start.elapsed() > DEADLINE {
            bail!("timed out after {} s waiting for {what}", DEADLINE.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}
