//! The thread that renews a lock or stands by for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::held::{ENDED, Held};
use super::store::Holder;

/// Interval between renewals.
const RENEWAL: Duration = Duration::from_secs(5);
/// Pause after an error, or while the lock is free but may not be taken yet.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Keeper {
    held: Arc<Held>,
    /// The error, or the current holder, that was logged last. Each is logged once.
    logged: Option<String>,
}

impl Keeper {
    pub(super) fn new(held: Arc<Held>) -> Self {
        Self { held, logged: None }
    }

    /// Runs until `ended` receives a message.
    pub(super) fn run(mut self, ended: &Receiver<()>) {
        loop {
            let pause = self.renew_and_check().unwrap_or_else(|error| {
                if !self.held.is_likely() {
                    self.held.lose("it could not be renewed in time");
                }
                let error = format!("{error:#}");
                if self.logged.as_ref() != Some(&error) {
                    warn!(error, "cannot renew or acquire the lock");
                }
                self.logged = Some(error);
                RETRY
            });
            if !matches!(ended.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
                break;
            }
        }
        let held = self.held.give_up();
        match self.held.store.release(held) {
            Ok(()) if held => info!(key = self.held.store.name(), "lock released"),
            Ok(()) => {}
            Err(error) => warn!(error = format!("{error:#}"), "lock not released; it expires"),
        }
    }

    /// Renews the lock, or takes it if it is free. Returns the pause until the next time.
    fn renew_and_check(&mut self) -> anyhow::Result<Duration> {
        let renewed = Instant::now();
        match self.held.store.renew()? {
            Holder::This => {}
            Holder::Other(holder) => {
                self.held.lose("another sweeper holds it");
                return self.stand_by(holder);
            }
            Holder::None => {
                self.held.lose(ENDED);
                if !self.held.store.acquire()? {
                    return Ok(RETRY);
                }
            }
        }
        self.logged = None;
        if self.held.gain(renewed) {
            info!(key = self.held.store.name(), "lock gained");
        }
        Ok(RENEWAL)
    }

    /// Logs the holder once, and waits a while for the lock to become free.
    fn stand_by(&mut self, holder: String) -> anyhow::Result<Duration> {
        if self.logged.as_ref() != Some(&holder) {
            let description = self.held.store.describe()?;
            info!(key = self.held.store.name(), holder = description, "standing by");
            self.logged = Some(holder);
        }
        self.held.store.stand_by()
    }
}
