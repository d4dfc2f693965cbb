//! Leader election by a lock in Consul, etcd or Kubernetes: one of several processes works at a time.
//!
//! The leader holds the lock and must renew it. The other processes stand by and acquire it when it is free: at once after
//! [`Lock::release`]; after a crash, no sooner than [`TTL`] after the last renewal. The holder stops [`MARGIN`] earlier.
//! A lock can be lost sooner for other reasons (the node of Consul's agent fails, an operator removes the lock).
//! [`Held::check`] detects that, and [`LOCK_DELAY`] covers requests in flight at that moment.
//!
//! [`TTL`]: held::TTL
//! [`MARGIN`]: held::MARGIN
//! [`LOCK_DELAY`]: held::LOCK_DELAY

pub(crate) mod held;
mod keeper;
pub(crate) mod store;

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use held::Held;
use jiff::Timestamp;
use keeper::Keeper;
use store::Store;

/// A candidate for a lock; a separate thread renews it or stands by.
#[derive(Debug)]
pub(crate) struct Lock {
    held: Arc<Held>,
    end: Sender<()>,
    keeper: JoinHandle<()>,
}

impl Lock {
    /// Starts to compete for the lock; returns at once.
    pub(crate) fn join(store: Box<dyn Store>) -> anyhow::Result<Self> {
        let held = Arc::new(Held::new(store));
        let keeper = Keeper::new(Arc::clone(&held));
        let (end, ended) = mpsc::channel();
        let keeper = thread::Builder::new().name("lock".to_owned()).spawn(move || keeper.run(&ended))?;
        Ok(Self { held, end, keeper })
    }

    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }

    /// Releases the lock, so that a standby takes over at once. Returns when the store has confirmed or the request failed.
    pub(crate) fn release(self) {
        let _ = self.end.send(());
        let _ = self.keeper.join();
    }
}

/// Returns host, process and time, which name a holder for people and differ for any two holders.
pub(crate) fn identity() -> (String, u32, Timestamp) {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (host, std::process::id(), Timestamp::now())
}
