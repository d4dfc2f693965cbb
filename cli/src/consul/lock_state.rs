//! What is known of a lock, shared by those who ask and the thread that keeps it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tracing::warn;

use super::client::Consul;
use crate::error::NotSafe;

/// How long a session lives without a renewal, at least; Consul takes twice this time.
pub(crate) const TTL: Duration = Duration::from_secs(15);
/// How long nobody gets the key after its holder's session ended otherwise than by a release. Longer than what may follow
/// a check: a decision and a gateway's answer
/// ([`crate::gateway::limits`]).
pub(crate) const LOCK_DELAY: Duration = Duration::from_secs(15);
/// How long before the end of [`TTL`] the holder stops.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);
/// How long Consul may take to answer that the key is still another's.
const STANDBY: &str = "2s";
/// What a token must allow.
pub(super) const NEEDS: &str = "session:write on the agent's node and key:write on pushring/";

/// What is known of the lock.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) consul: Consul,
    pub(super) key: Url,
    pub(super) hold: Mutex<Option<Hold>>,
}

/// Kept only while the key is ours.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) session: String,
    /// When the last renewal that succeeded was asked for.
    pub(super) renewed: Instant,
}

/// The key, as far as it matters.
pub(super) struct Entry {
    pub(super) session: Option<String>,
    /// By which Consul tells whether it changed.
    pub(super) index: String,
}

impl Held {
    /// Whether it is held as far as one can tell without asking.
    pub(crate) fn is_likely(&self) -> bool {
        self.hold().as_ref().is_some_and(Hold::is_fresh)
    }

    /// Asks Consul whether it is held.
    ///
    /// # Errors
    /// [`NotSafe`] when it is not, or that cannot be told.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
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

    pub(super) fn hold(&self) -> MutexGuard<'_, Option<Hold>> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lose(&self, reason: &str) {
        if self.hold().take().is_some() {
            warn!(key = self.name(), reason, "lock lost");
        }
    }

    pub(super) fn name(&self) -> &str {
        self.key.path().trim_start_matches("/v1/kv/")
    }

    /// Reads the key as all servers agree on it; after `since` it waits a little for a change.
    pub(super) fn entry(&self, since: Option<&str>) -> anyhow::Result<Entry> {
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
