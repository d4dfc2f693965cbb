//! Waiting for a condition: what the tests do instead of sleeping.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Far beyond what anything here takes on a busy machine; only a failure waits that long.
const DEADLINE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// Asks `condition` again and again until it gives a value, for at most a minute.
///
/// # Errors
/// After the deadline, naming `what` was waited for.
pub fn poll_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if start.elapsed() > DEADLINE {
            bail!("waited {} s in vain for: {what}", DEADLINE.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}
