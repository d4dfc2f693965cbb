//! One of several processes at a time: a lock that Consul keeps.
//!
//! A session that has to be renewed holds a key. Whoever does not get the key stands by and takes it as soon as it is
//! free: at once after [`Lock::release`], and after a crash when Consul has given the session up (twice [`TTL`] after
//! its last renewal) and [`LOCK_DELAY`] is over. The value of the key says, for people, who holds it.
//!
//! Consul gives a session up no sooner than [`TTL`] after its last renewal; the holder stops trusting it [`MARGIN`]
//! earlier. A session can end sooner by other means (its agent's node fails, somebody destroys it): [`Held::check`] asks
//! Consul, and for what was under way at that moment there is [`LOCK_DELAY`].

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tracing::warn;

use super::client::Consul;
use crate::error::NotSafe;
use keeper::Keeper;

mod keeper;

/// How long a session lives without a renewal, at least; Consul takes twice this time.
pub const TTL: Duration = Duration::from_secs(15);
/// How long nobody gets the key after its holder's session ended otherwise than by a release. Longer than what may follow
/// a check: a decision ([`crate::cleanup::delete_batch::DECISION_MAX`]) and a gateway's answer ([`crate::gateway::client::DELETE_MAX`]).
pub const LOCK_DELAY: Duration = Duration::from_secs(15);
/// How long before the end of [`TTL`] the holder stops.
pub const MARGIN: Duration = Duration::from_secs(5);
/// How long Consul may take to answer that the key is still another's.
const STANDBY: &str = "2s";
/// What a token must allow.
const NEEDS: &str = "session:write on the agent's node and key:write on pushring/";

/// Takes part in the contest for a lock; a thread of its own renews the session or stands by.
#[derive(Debug)]
pub struct Lock {
    held: Arc<Held>,
    end: Sender<()>,
    keeper: JoinHandle<()>,
}

/// What is known of the lock.
#[derive(Debug)]
pub struct Held {
    consul: Consul,
    key: Url,
    hold: Mutex<Option<Hold>>,
}

/// Kept only while the key is ours.
#[derive(Clone, Debug)]
struct Hold {
    session: String,
    /// When the last renewal that succeeded was asked for.
    renewed: Instant,
}

/// The key, as far as it matters.
struct Entry {
    session: Option<String>,
    /// By which Consul tells whether it changed.
    index: String,
}

impl Lock {
    /// Joins the contest for `pushring/<name>…/sweep`; returns at once.
    ///
    /// # Errors
    /// [`crate::error::BadInput`] when the agent's address is unusable, or the system gives no thread.
    pub fn join(consul: Consul, name: &[String]) -> anyhow::Result<Self> {
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
    #[must_use]
    pub fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }

    /// Gives it back, so that one that stands by takes over at once; returns when that is done or Consul was asked in
    /// vain.
    pub fn release(self) {
        let _ = self.end.send(());
        let _ = self.keeper.join();
    }
}

impl Held {
    /// Whether it is held as far as one can tell without asking.
    #[must_use]
    pub fn is_likely(&self) -> bool {
        self.hold().as_ref().is_some_and(Hold::is_fresh)
    }

    /// Asks Consul whether it is held.
    ///
    /// # Errors
    /// [`NotSafe`] when it is not, or that cannot be told.
    pub fn check(&self) -> anyhow::Result<()> {
        let Some(hold) = self.hold().clone() else {
            bail!(NotSafe("another sweeper has the lock, or Consul was not reached yet".to_owned()));
        };
        let entry = self.entry(None).context(NotSafe("the lock cannot be checked".to_owned()))?;
        if entry.session.as_ref() != Some(&hold.session) {
            self.lose("its session was ended");
            bail!(NotSafe("the lock was lost: its session was ended".to_owned()));
        }
        // Last: to ask may have taken long.
        if !self.is_likely() {
            bail!(NotSafe("the lock's session could not be renewed in time".to_owned()));
        }
        Ok(())
    }

    fn hold(&self) -> MutexGuard<'_, Option<Hold>> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, reason: &str) {
        if self.hold().take().is_some() {
            warn!(key = self.name(), reason, "lock lost");
        }
    }

    fn name(&self) -> &str {
        self.key.path().trim_start_matches("/v1/kv/")
    }

    /// Reads the key as all servers agree on it; after `since` it waits a little for a change.
    fn entry(&self, since: Option<&str>) -> anyhow::Result<Entry> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Pair {
            session: Option<String>,
        }
        let mut url = self.key.clone();
        url.set_query(Some("consistent"));
        if let Some(index) = since {
            url.query_pairs_mut().append_pair("index", index).append_pair("wait", STANDBY);
        }
        let response = self.consul.ask(self.consul.client.get(url))?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(Entry { session: None, index: String::new() });
        }
        let response = self.consul.accept(response, NEEDS)?;
        let index = response.headers().get("X-Consul-Index").and_then(|index| index.to_str().ok());
        let index = index.unwrap_or_default().to_owned();
        let pairs: Vec<Pair> = response.json().context("the lock's key: not what Consul answers")?;
        let session = pairs.into_iter().next().and_then(|pair| pair.session);
        Ok(Entry { session: session.filter(|session| !session.is_empty()), index })
    }
}

impl Hold {
    fn is_fresh(&self) -> bool {
        self.renewed.elapsed() < TTL.saturating_sub(MARGIN)
    }
}
