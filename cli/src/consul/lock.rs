//! One of several processes at a time: a lock that Consul keeps.
//!
//! A session that has to be renewed holds a key. Whoever does not get the key stands by and takes it as soon as it is
//! free: at once after [`Lock::release`], and after a crash when Consul has given the session up (twice [`super::lock_state::TTL`] after
//! its last renewal) and [`super::lock_state::LOCK_DELAY`] is over. The value of the key says, for people, who holds it.
//!
//! Consul gives a session up no sooner than [`super::lock_state::TTL`] after its last renewal; the holder stops trusting it [`super::lock_state::MARGIN`]
//! earlier. A session can end sooner by other means (its agent's node fails, somebody destroys it): [`Held::check`] asks
//! Consul, and for what was under way at that moment there is [`super::lock_state::LOCK_DELAY`].

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::client::Consul;
use super::keeper::Keeper;
use super::lock_state::Held;

/// Takes part in the contest for a lock; a thread of its own renews the session or stands by.
#[derive(Debug)]
pub(crate) struct Lock {
    held: Arc<Held>,
    end: Sender<()>,
    keeper: JoinHandle<()>,
}

impl Lock {
    /// Joins the contest for `pushring/<name>…/sweep`; returns at once.
    ///
    /// # Errors
    /// [`crate::error::BadInput`] when the agent's address is unusable, or the system gives no thread.
    pub(crate) fn join(consul: Consul, name: &[String]) -> anyhow::Result<Self> {
        let name = name.iter().map(String::as_str);
        let path: Vec<&str> = ["v1", "kv", "pushring"].into_iter().chain(name).chain(["sweep"]).collect();
        let key = consul.path(&path)?;
        let held = Arc::new(Held { consul, key, hold: Mutex::new(None) });
        let keeper = Keeper::new(Arc::clone(&held));
        let (end, ended) = mpsc::channel();
        let keeper = thread::Builder::new().name("lock".to_owned()).spawn(move || keeper.run(&ended))?;
        Ok(Self { held, end, keeper })
    }

    /// To ask whether it is held.
    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }

    /// Gives it back, so that one that stands by takes over at once; returns when that is done or Consul was asked in
    /// vain.
    pub(crate) fn release(self) {
        let _ = self.end.send(());
        let _ = self.keeper.join();
    }
}
