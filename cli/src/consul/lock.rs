//! A lock in Consul: a session, which its owner must renew, holds a key.
//!
//! Consul invalidates a session no sooner than [`TTL`] after its last renewal, and at the latest after twice that time. It
//! then blocks the key for [`LOCK_DELAY`]. The value of the key names the holder, for people.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use reqwest::blocking::RequestBuilder;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::json;

use super::client::Consul;
use crate::lock::held::{LOCK_DELAY, TTL};
use crate::lock::identity;
use crate::lock::store::{Holder, Store};

/// Longest time for which Consul may block a query while the key is still held by another sweeper.
const STANDBY: &str = "2s";
/// Permissions that the token needs.
const NEEDS: &str = "session:write on the agent's node and key:write on pushring/";

#[derive(Debug)]
pub(crate) struct ConsulLock {
    consul: Consul,
    key: Url,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    session: Option<String>,
    /// Consul's index of the last change of the key, for a blocking query.
    index: String,
}

struct Entry {
    session: Option<String>,
    index: String,
}

impl ConsulLock {
    /// The lock is the key `pushring/<name>…/sweep`.
    pub(crate) fn new(consul: Consul, name: &[String]) -> Self {
        let name = name.iter().map(String::as_str);
        let path: Vec<&str> = ["v1", "kv", "pushring"].into_iter().chain(name).chain(["sweep"]).collect();
        let key = consul.path(&path);
        Self { consul, key, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the session; creates a new one if there is none or Consul has invalidated it.
    fn renew_session(&self) -> anyhow::Result<String> {
        let session = self.state().session.clone();
        if let Some(session) = session {
            let url = self.consul.path(&["v1", "session", "renew", &session]);
            let response = self.consul.ask(self.consul.client.put(url))?;
            if response.status() != StatusCode::NOT_FOUND {
                self.consul.accept(response, NEEDS)?;
                return Ok(session);
            }
        }
        #[derive(Deserialize)]
        struct Created {
            #[serde(rename = "ID")]
            id: String,
        }
        let seconds = |time: Duration| format!("{}s", time.as_secs());
        let definition = json!({
            "Name": "pushring sweep", "Behavior": "release",
            "TTL": seconds(TTL), "LockDelay": seconds(LOCK_DELAY),
        });
        let url = self.consul.path(&["v1", "session", "create"]);
        let response = self.consul.send(self.consul.client.put(url).json(&definition), NEEDS)?;
        let created: Created = response.json(&self.consul.agent()).context("a new session")?;
        self.state().session = Some(created.id.clone());
        Ok(created.id)
    }

    /// Reads the key with a consistent read; with `since`, waits up to [`STANDBY`] for a change.
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
        let pairs: Vec<Pair> = response.json(&self.consul.agent()).context("the lock's key")?;
        let session = pairs.into_iter().next().and_then(|pair| pair.session);
        Ok(Entry { session: session.filter(|session| !session.is_empty()), index })
    }

    /// Returns the key with this query.
    fn with_query(&self, name: &str, session: &str) -> Url {
        let mut url = self.key.clone();
        url.query_pairs_mut().append_pair(name, session);
        url
    }

    fn request(&self, request: RequestBuilder) -> anyhow::Result<String> {
        self.consul.send(request, NEEDS)?.text()
    }
}

impl Store for ConsulLock {
    fn name(&self) -> &str {
        self.key.path().trim_start_matches("/v1/kv/")
    }

    fn renew(&self) -> anyhow::Result<Holder> {
        let session = self.renew_session()?;
        let entry = self.entry(None)?;
        self.state().index = entry.index;
        Ok(match entry.session {
            Some(holder) if holder == session => Holder::This,
            Some(holder) => Holder::Other(holder),
            None => Holder::None,
        })
    }

    fn acquire(&self) -> anyhow::Result<bool> {
        let session = self.state().session.clone().context("no session")?;
        let (host, pid, since) = identity();
        let holder = json!({"host": host, "pid": pid, "since": since});
        let url = self.with_query("acquire", &session);
        Ok(self.request(self.consul.client.put(url).json(&holder))?.trim() == "true")
    }

    fn describe(&self) -> anyhow::Result<String> {
        let mut url = self.key.clone();
        url.set_query(Some("raw"));
        self.request(self.consul.client.get(url))
    }

    fn stand_by(&self) -> anyhow::Result<Duration> {
        let index = self.state().index.clone();
        self.entry(Some(&index)).map(|_| Duration::ZERO)
    }

    fn is_ours(&self) -> anyhow::Result<bool> {
        let session = self.state().session.clone();
        Ok(session.is_some() && self.entry(None)?.session == session)
    }

    fn release(&self, held: bool) -> anyhow::Result<()> {
        let Some(session) = self.state().session.take() else { return Ok(()) };
        if held {
            self.request(self.consul.client.put(self.with_query("release", &session)))?;
        }
        let url = self.consul.path(&["v1", "session", "destroy", &session]);
        self.request(self.consul.client.put(url)).map(drop)
    }
}
