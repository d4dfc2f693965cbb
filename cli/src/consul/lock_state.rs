//! The state of a lock, shared by the sweeper and the thread that renews the lock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tracing::warn;

use super::client::Consul;
use crate::error::NotSafe;

/// Minimum lifetime of a session without a renewal; Consul waits twice this time.
pub(crate) const TTL: Duration = Duration::from_secs(15);
/// Time for which Consul blocks the key after the holder's session ended without a release. Longer than the work that may
/// follow a check: a decision and a gateway's response ([`crate::gateway::time_limits`]).
pub(crate) const LOCK_DELAY: Duration = Duration::from_secs(15);
/// Time before the end of [`TTL`] at which the holder stops.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);
/// Longest time for which Consul may block a query while the key is still held by another sweeper.
const STANDBY: &str = "2s";
/// Permissions that the token needs.
pub(super) const NEEDS: &str = "session:write on the agent's node and key:write on pushring/";

#[derive(Debug)]
pub(crate) struct Held {
    pub(super) consul: Consul,
    pub(super) key: Url,
    pub(super) hold: Mutex<Option<Hold>>,
}

/// Exists only while this process holds the key.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) session: String,
    /// Time at which the last successful renewal was requested.
    pub(super) renewed: Instant,
}

pub(super) struct Entry {
    pub(super) session: Option<String>,
    /// Consul's index of the last change, for a blocking query.
    pub(super) index: String,
}

impl Held {
    /// Returns whether the lock is held, judged without a request.
    pub(crate) fn is_likely(&self) -> bool {
        self.hold().as_ref().is_some_and(Hold::is_fresh)
    }

    /// Asks Consul whether the lock is held.
    ///
    /// # Errors
    /// [`NotSafe`] if it is not held, or if that is unknown.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let Some(hold) = self.hold().clone() else {
            bail!(NotSafe("another sweeper holds the lock, or Consul has not responded yet".to_owned()));
        };
        let entry = self.entry(None).context(NotSafe("the lock cannot be checked".to_owned()))?;
        if entry.session.as_ref() != Some(&hold.session) {
            self.lose("its session was ended");
            bail!(NotSafe("the lock was lost: its session was ended".to_owned()));
        }
        // Last, because the request may have been slow.
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

    /// Reads the key with a consistent read; with `since`, waits up to [`STANDBY`] for a change.
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
        let pairs: Vec<Pair> = response.json(&self.consul.agent()).context("the lock's key")?;
        let session = pairs.into_iter().next().and_then(|pair| pair.session);
        Ok(Entry { session: session.filter(|session| !session.is_empty()), index })
    }
}

impl Hold {
    fn is_fresh(&self) -> bool {
        self.renewed.elapsed() < TTL.saturating_sub(MARGIN)
    }
}
