//! The thread that renews a lock or stands by for it.

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

/// Interval between renewals.
const RENEWAL: Duration = Duration::from_secs(5);
/// Pause after an error, or while the key is free but the lock delay is not over.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Keeper {
    held: Arc<Held>,
    session: Option<String>,
    /// The error, or the session of the current holder, that was logged last. Each is logged once.
    logged: Option<String>,
}

impl Keeper {
    pub(super) fn new(held: Arc<Held>) -> Self {
        Self { held, session: None, logged: None }
    }

    /// Runs until `ended` receives a message.
    pub(super) fn run(mut self, ended: &Receiver<()>) {
        loop {
            let pause = self.renew_and_check().unwrap_or_else(|error| {
                if !self.held.is_likely() {
                    self.held.lose("its session could not be renewed in time");
                }
                let error = format!("{error:#}");
                if self.logged.as_ref() != Some(&error) {
                    warn!(error, "cannot renew or acquire the lock");
                }
                self.logged = Some(error);
                RETRY
            });
            if !matches!(ended.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
                break;
            }
        }
        if let Err(error) = self.release() {
            warn!(error = format!("{error:#}"), "lock not released; it ends with its session");
        }
    }

    /// Renews the session and checks the key once. Returns the pause until the next check.
    fn renew_and_check(&mut self) -> anyhow::Result<Duration> {
        let renewed = Instant::now();
        let session = self.renew()?;
        let entry = self.held.entry(None)?;
        match &entry.session {
            Some(holder) if *holder == session => {}
            Some(holder) => {
                self.held.lose("another sweeper holds it");
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
        self.logged = None;
        let new = self.held.hold().replace(Hold { session, renewed }).is_none();
        if new {
            info!(key = self.held.name(), "lock gained");
        }
        Ok(RENEWAL)
    }

    /// Renews the session; creates a new one if there is none or Consul has invalidated it.
    fn renew(&mut self) -> anyhow::Result<String> {
        let consul = &self.held.consul;
        if let Some(session) = &self.session {
            let url = consul.path(&["v1", "session", "renew", session]);
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
        let url = consul.path(&["v1", "session", "create"]);
        let response = consul.send(consul.client.put(url).json(&definition), NEEDS)?;
        let created: Created = response.json(&consul.agent()).context("a new session")?;
        self.session = Some(created.id.clone());
        Ok(created.id)
    }

    fn acquire(&self, session: &str) -> anyhow::Result<bool> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let holder = json!({"host": host, "pid": std::process::id(), "since": Timestamp::now()});
        let mut url = self.held.key.clone();
        url.query_pairs_mut().append_pair("acquire", session);
        Ok(self.request(self.held.consul.client.put(url).json(&holder))?.trim() == "true")
    }

    /// Logs the holder of the key once, and waits up to 2 s for the key to become free.
    fn stand_by(&mut self, session: &str, index: &str) -> anyhow::Result<()> {
        if self.logged.as_deref() != Some(session) {
            let mut url = self.held.key.clone();
            url.set_query(Some("raw"));
            let holder = self.request(self.held.consul.client.get(url))?;
            info!(key = self.held.name(), holder, "standing by");
            self.logged = Some(session.to_owned());
        }
        self.held.entry(Some(index)).map(drop)
    }

    fn release(&self) -> anyhow::Result<()> {
        let Some(session) = &self.session else { return Ok(()) };
        let consul = &self.held.consul;
        if self.held.hold().take().is_some() {
            let mut url = self.held.key.clone();
            url.query_pairs_mut().append_pair("release", session);
            self.request(consul.client.put(url))?;
            info!(key = self.held.name(), "lock released");
        }
        let url = consul.path(&["v1", "session", "destroy", session]);
        self.request(consul.client.put(url)).map(drop)
    }

    fn request(&self, request: RequestBuilder) -> anyhow::Result<String> {
        self.held.consul.send(request, NEEDS)?.text()
    }
}
