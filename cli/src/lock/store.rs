//! The part of a lock that depends on where it is kept.

use std::fmt::Debug;
use std::time::Duration;

/// A lock in a store. One thread renews, acquires and releases it; others ask [`Store::is_ours`].
pub(crate) trait Store: Debug + Send + Sync + 'static {
    /// Returns the name of the lock, for messages.
    fn name(&self) -> &str;

    /// Renews the lock if this process holds it, and returns who does.
    fn renew(&self) -> anyhow::Result<Holder>;

    /// Takes the lock after [`Store::renew`] found it free. `false`: another process was faster, or the time in which requests
    /// of the last holder may be in flight is not over.
    fn acquire(&self) -> anyhow::Result<bool>;

    /// Returns what the holder says about itself, for people.
    fn describe(&self) -> anyhow::Result<String>;

    /// Waits for the end of another holder's lock, or returns the pause after which to look again.
    fn stand_by(&self) -> anyhow::Result<Duration>;

    /// Reads whether this process holds the lock now, never from a cache.
    fn is_ours(&self) -> anyhow::Result<bool>;

    /// Gives the lock up, so that another process need not wait until it expires. `held`: whether this process holds it.
    fn release(&self, held: bool) -> anyhow::Result<()>;
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// This process; the lock was renewed just now.
    This,
    /// Another process, with its identity in the store.
    Other(String),
    /// No process, or one that did not renew it in time.
    None,
}
