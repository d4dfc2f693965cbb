//! The state of a lock, shared by the sweeper and the thread that renews the lock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tracing::warn;

use super::store::Store;
use crate::error::NotSafe;

/// Minimum lifetime of a lock without a renewal; Consul waits twice this time.
pub(crate) const TTL: Duration = Duration::from_secs(15);
/// Time for which a lock that was taken from its holder stays closed. Longer than the work that may follow a check: a
/// decision and a gateway's response ([`crate::gateway::time_limits`]).
pub(crate) const LOCK_DELAY: Duration = Duration::from_secs(15);
/// Time before the end of [`TTL`] at which the holder stops.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);

/// Whether this process holds a lock.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) store: Box<dyn Store>,
    /// Time at which the last successful renewal was requested; `None`: not held.
    renewed: Mutex<Option<Instant>>,
}

impl Held {
    pub(super) fn new(store: Box<dyn Store>) -> Self {
        Self { store, renewed: Mutex::new(None) }
    }

    /// Returns whether the lock is held, judged without a request.
    pub(crate) fn is_likely(&self) -> bool {
        self.renewed().is_some_and(|renewed| renewed.elapsed() < TTL.saturating_sub(MARGIN))
    }

    /// Asks the store whether the lock is held.
    ///
    /// # Errors
    /// [`NotSafe`] if it is not held, or if that is unknown.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.renewed().is_none() {
            bail!(NotSafe("another sweeper holds the lock, or its store has not answered yet".to_owned()));
        }
        if !self.store.is_ours().context(NotSafe("the lock cannot be checked".to_owned()))? {
            self.lose(ENDED);
            bail!(NotSafe(format!("the lock was lost: {ENDED}")));
        }
        // Last, because the request may have been slow.
        if !self.is_likely() {
            bail!(NotSafe("the lock could not be renewed in time".to_owned()));
        }
        Ok(())
    }

    /// Returns whether it was not held before.
    pub(super) fn gain(&self, renewed: Instant) -> bool {
        self.renewed().replace(renewed).is_none()
    }

    pub(super) fn lose(&self, reason: &str) {
        if self.give_up() {
            warn!(key = self.store.name(), reason, "lock lost");
        }
    }

    /// Returns whether it was held.
    pub(super) fn give_up(&self) -> bool {
        self.renewed().take().is_some()
    }

    fn renewed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a lock is lost without another holder.
pub(super) const ENDED: &str = "it was ended in its store";
