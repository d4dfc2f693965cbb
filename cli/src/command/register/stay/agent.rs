//! The loop of `register --stay`: results of the check and signals; it keeps the registration in step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{info, warn};

use super::check::State;
use super::metrics;
use super::store::{Done, Store};
use crate::command::register::FAREWELL;
use crate::log::is_news;
use crate::text;

/// Pause after an error of the registry.
const RETRY: Duration = Duration::from_secs(1);
/// How long the agent tries to leave a registry that is away.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

/// An event for the loop.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Check(State),
    Terminate,
}

/// The state of the loop.
pub(super) struct Agent {
    store: Box<dyn Store>,
    lease: Duration,
    state: State,
    /// Until when the registration lives without a renewal; `None`: it is not registered.
    alive_until: Option<Instant>,
    /// The error that was logged last.
    error: Option<String>,
    registered: Arc<AtomicBool>,
}

impl Agent {
    /// `registered` is set while the gateway is registered.
    pub(super) fn new(store: Box<dyn Store>, lease: Duration, registered: Arc<AtomicBool>) -> Self {
        let state = State { passing: None, output: String::new() };
        Self { store, lease, state, alive_until: None, error: None, registered }
    }

    /// Keeps the registration until a signal arrives. Errors are logged.
    pub(super) fn run(&mut self, events: &Receiver<Event>) {
        let mut due = Instant::now() + self.lease / 3;
        loop {
            match events.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Event::Check(state)) => {
                    let changed = state.passing != self.state.passing;
                    self.state = state;
                    if !changed {
                        continue;
                    }
                    let passing = self.state.passing == Some(true);
                    metrics::passing(passing);
                    info!(
                        output = text::error(&self.state.output),
                        "check {}",
                        if passing { "passing" } else { "critical" }
                    );
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Terminate) | Err(RecvTimeoutError::Disconnected) => return,
            }
            due = Instant::now() + self.keep();
        }
    }

    /// Renews the registration once, and returns the pause until the next time.
    fn keep(&mut self) -> Duration {
        let began = Instant::now();
        let result = self.store.keep(&self.state);
        match &result {
            Ok(done) => self.kept(*done, began),
            Err(error) => {
                metrics::failed();
                self.failed(&format!("{error:#}"));
            }
        }
        let registered = self.alive_until.is_some_and(|until| Instant::now() < until);
        metrics::registered(registered);
        self.registered.store(registered, Ordering::Relaxed);
        if result.is_ok() { self.lease / 3 } else { RETRY.min(self.lease / 3) }
    }

    fn kept(&mut self, done: Done, began: Instant) {
        if self.error.take().is_some() {
            info!("registry back");
        }
        match done {
            Done::Registered => info!("registered"),
            Done::Removed => info!("removed until the check passes"),
            Done::Renewed | Done::Absent => {}
        }
        let lives = matches!(done, Done::Registered | Done::Renewed);
        self.alive_until = lives.then(|| began + self.lease);
        if lives {
            metrics::renewed();
        }
    }

    fn failed(&mut self, error: &str) {
        let error = text::error(error);
        if is_news(&mut self.error, Some(error.clone())) {
            warn!(error, "registration not renewed");
        }
    }

    /// Announces that the gateway leaves, waits until watchers have seen it, and removes the registration.
    ///
    /// # Errors
    /// The registry is away; the registration ends with its lease.
    pub(super) fn leave(&mut self) -> anyhow::Result<()> {
        info!("leaving");
        let away = "not deregistered; the registration stays until its lease ends";
        patiently(|| self.store.announce()).context(away)?;
        thread::sleep(FAREWELL);
        patiently(|| self.store.remove()).context(away)?;
        metrics::registered(false);
        self.registered.store(false, Ordering::Relaxed);
        info!("deregistered");
        Ok(())
    }
}

/// Tries again for a while.
fn patiently(mut act: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        match act() {
            Err(_) if began.elapsed() < LEAVE_LIMIT => thread::sleep(RETRY),
            done => return done,
        }
    }
}

/// Sends an event for each signal that ends the agent.
pub(super) fn signals(events: Sender<Event>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if events.send(Event::Terminate).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
