//! The load and its answers: clients that push to the proxy under test, and the gateways behind it, in one thread and
//! one event loop, so that both fit on the one core that the proxy does not have.

mod connection;
mod gateways;
mod pushes;

pub(crate) use gateways::Gateways;
pub(crate) use pushes::{Push, Pushes};

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How hard to push.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Each connection pushes again as soon as it is answered.
    Closed,
    /// So many pushes a second are due, whatever the answers do; time counts from when a push was due.
    PerSecond(u32),
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// From due (or sent) to answered, in nanoseconds.
    pub(crate) times: Vec<u64>,
    /// Answers of another status, and connections that broke.
    pub(crate) failed: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Outcome {
    pub(crate) fn answered(&self) -> usize {
        self.times.len()
    }
}

/// Pushes for `length` over `connections` and serves the gateways meanwhile.
pub(crate) fn run(
    proxy: SocketAddr,
    gateways: &mut Gateways,
    pushes: &mut Pushes,
    pace: Pace,
    length: Duration,
) -> Result<Outcome> {
    pushes.begin(proxy, pace)?;
    let start = Instant::now();
    while start.elapsed() < length {
        gateways.turn(pushes, matches!(pace, Pace::PerSecond(_)))?;
    }
    // What is under way is answered before the next proxy has its turn; no new push begins.
    pushes.stop();
    let took = start.elapsed();
    let patience = Instant::now();
    while pushes.busy() && patience.elapsed() < Duration::from_secs(5) {
        gateways.turn(pushes, false)?;
    }
    Ok(pushes.end(took))
}
