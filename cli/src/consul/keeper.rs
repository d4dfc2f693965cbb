//! The thread that keeps a lock or stands by for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::blocking::RequestBuilder;
use serde::Deserialize;
use serde_json::json;
use tracing::{info, warn};

use super::lock_state::{Held, Hold, LOCK_DELAY, NEEDS, TTL};

/// From one renewal to the next.
const RENEWAL: Duration = Duration::from_secs(5);
/// After an error, or when the key is free but cannot be had before the lock delay is over.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Keeper {
    held: Arc<Held>,
    session: Option<String>,
    /// The error, or the session of the one who has the lock, that was logged last: told once.
    told: Option<String>,
}

impl Keeper {
    pub(super) fn new(held: Arc<Held>) -> Self {
        Self { held, session: None, told: None }
    }

    /// Goes on until it is told to end.
    pub(super) fn run(mut self, ended: &Receiver<()>) {
        loop {
            let pause = self.turn().unwrap_or_else(|error| {
                if !self.held.is_likely() {
                    self.held.lose("its session could not be renewed in time");
                }
                let error = format!("{error:#}");
                if self.told.as_ref() != Some(&error) {
                    warn!(error, "the lock cannot be kept or taken");
                }
                self.told = Some(error);
                RETRY
            });
            if !matches!(ended.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
                break;
            }
        }
        if let Err(error) = self.give_up() {
            warn!(error = format!("{error:#}"), "the lock was not released: it ends with its session");
        }
    }

    /// Renews the session and looks at the key once. Returns how long to wait until the next time.
    fn turn(&mut self) -> anyhow::Result<Duration> {
        let renewed = Instant::now();
        let session = self.renew()?;
        let entry = self.held.entry(None)?;
        match &entry.session {
            Some(holder) if *holder == session => {}
            Some(holder) => {
                self.held.lose("another sweeper has it");
                self.stand_by(holder, &entry.index)?;
                return Ok(Duration::ZERO);
            }
            None => {
                self.held.lose("its session was ended");
                if !self.acquire(&session)? {
                    return Ok(RETRY);
                }
            }
        }
        self.told = None;
        let new = self.held.hold().replace(Hold { session, renewed }).is_none();
        if new {
            info!(key = self.held.name(), "lock gained");
        }
        Ok(RENEWAL)
    }

    /// The session, renewed; a new one where there was none or Consul has given it up.
    fn renew(&mut self) -> anyhow::Result<String> {
        let consul = &self.held.consul;
        if let Some(session) = &self.session {
            let url = consul.path(&["v1", "session", "renew", session])?;
            let response = consul.ask(consul.client.put(url))?;
            if response.status() != StatusCode::NOT_FOUND {
                consul.accept(response, NEEDS)?;
                return Ok(session.clone());
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
        let url = consul.path(&["v1", "session", "create"])?;
        let response = consul.send(consul.client.put(url).json(&definition), NEEDS)?;
        let created: Created = response.json().context("a new session: not what Consul answers")?;
        self.session = Some(created.id.clone());
        Ok(created.id)
    }

    fn acquire(&self, session: &str) -> anyhow::Result<bool> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let who = json!({"host": host, "pid": std::process::id(), "since": Timestamp::now()});
        let mut url = self.held.key.clone();
        url.query_pairs_mut().append_pair("acquire", session);
        Ok(self.request(self.held.consul.client.put(url).json(&who))?.trim() == "true")
    }

    /// Says once who holds the key, and waits a little for it to become free.
    fn stand_by(&mut self, session: &str, index: &str) -> anyhow::Result<()> {
        if self.told.as_deref() != Some(session) {
            let mut url = self.held.key.clone();
            url.set_query(Some("raw"));
            let holder = self.request(self.held.consul.client.get(url))?;
            info!(key = self.held.name(), holder, "standing by");
            self.told = Some(session.to_owned());
        }
        self.held.entry(Some(index)).map(drop)
    }

    fn give_up(&self) -> anyhow::Result<()> {
        let Some(session) = &self.session else { return Ok(()) };
        let consul = &self.held.consul;
        if self.held.hold().take().is_some() {
            let mut url = self.held.key.clone();
            url.query_pairs_mut().append_pair("release", session);
            self.request(consul.client.put(url))?;
            info!(key = self.held.name(), "lock released");
        }
        let url = consul.path(&["v1", "session", "destroy", session])?;
        self.request(consul.client.put(url)).map(drop)
    }

    fn request(&self, request: RequestBuilder) -> anyhow::Result<String> {
        Ok(self.held.consul.send(request, NEEDS)?.text()?)
    }
}
