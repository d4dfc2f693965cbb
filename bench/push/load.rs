//! Load and gateways: clients that push to the proxy under test, and the gateways behind it. Both run in one thread with
//! one event loop, written by hand on mio, so that they leave the proxy a core of its own and are fast enough to saturate
//! nginx and HAProxy from the other one.

mod connection;
mod gateways;
mod pushes;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
pub(crate) use gateways::Gateways;
pub(crate) use pushes::{Outcome, Pace, Push, Pushes};

/// A push that is not answered this long after the end of the load has failed.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Pushes for `length` and serves the gateways at the same time.
pub(crate) fn run(
    proxy: SocketAddr,
    gateways: &mut Gateways,
    pushes: &mut Pushes,
    pace: Pace,
    length: Duration,
) -> Result<Outcome> {
    pushes.begin(proxy, pace);
    let start = Instant::now();
    while start.elapsed() < length {
        gateways.turn(pushes, matches!(pace, Pace::PerSecond(_)))?;
    }
    // Pending pushes are answered before the next proxy has its turn; no new push begins.
    pushes.stop();
    let took = start.elapsed();
    let end = Instant::now();
    while pushes.pending() && end.elapsed() < TIMEOUT {
        gateways.turn(pushes, false)?;
    }
    Ok(pushes.end(took))
}
