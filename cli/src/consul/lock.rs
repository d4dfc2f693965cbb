//! Leader election by a lock in Consul: one of several processes works at a time.
//!
//! The leader's session, which it must renew, holds a key. The other processes stand by and acquire the key when it is
//! free: at once after [`Lock::release`]; after a crash, once Consul has invalidated the session (twice [`TTL`] after the
//! last renewal) and [`LOCK_DELAY`] is over. The value of the key names the holder, for people.
//!
//! Consul invalidates a session no sooner than [`TTL`] after its last renewal; the holder stops [`MARGIN`] earlier. A
//! session can end sooner for other reasons (the agent's node fails, an operator destroys it). [`Held::check`] detects
//! that, and [`LOCK_DELAY`] covers requests in flight at that moment.
//!
//! [`TTL`]: super::lock_state::TTL
//! [`MARGIN`]: super::lock_state::MARGIN
//! [`LOCK_DELAY`]: super::lock_state::LOCK_DELAY

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::client::Consul;
use super::keeper::Keeper;
use super::lock_state::Held;

/// A candidate for a lock; a separate thread renews the session or stands by.
#[derive(Debug)]
pub(crate) struct Lock {
    held: Arc<Held>,
    end: Sender<()>,
    keeper: JoinHandle<()>,
}

impl Lock {
    /// Starts to compete for the key `pushring/<name>…/sweep`; returns at once.
    pub(crate) fn join(consul: Consul, name: &[String]) -> anyhow::Result<Self> {
        let name = name.iter().map(String::as_str);
        let path: Vec<&str> = ["v1", "kv", "pushring"].into_iter().chain(name).chain(["sweep"]).collect();
        let key = consul.path(&path);
        let held = Arc::new(Held { consul, key, hold: Mutex::new(None) });
        let keeper = Keeper::new(Arc::clone(&held));
        let (end, ended) = mpsc::channel();
        let keeper = thread::Builder::new().name("lock".to_owned()).spawn(move || keeper.run(&ended))?;
        Ok(Self { held, end, keeper })
    }

    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }

    /// Releases the lock, so that a standby takes over at once. Returns when Consul has confirmed or the request failed.
    pub(crate) fn release(self) {
        let _ = self.end.send(());
        let _ = self.keeper.join();
    }
}
