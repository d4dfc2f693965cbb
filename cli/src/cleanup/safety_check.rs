//! Whether it is safe to delete or to copy: asked before every batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pushring_router::Config;
use reqwest::Url;
use reqwest::blocking::Client;
use serde::Deserialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{BadInput, NotSafe};
use crate::fleet::source::{Fleet, Source};

/// An Envoy that takes longer cannot be said to agree.
const ENVOY_TIMEOUT: Duration = Duration::from_secs(2);
/// How often members are read while they settle.
const PAUSE: Duration = Duration::from_millis(200);

/// What must hold before anything is deleted or copied.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Safety")]
pub(crate) struct SafetyArgs {
    /// URL at which an Envoy takes pushes; nothing is touched unless its ring is the command's own (needs
    /// `status_path`). Give every Envoy
    #[arg(long = "envoy", value_name = "URL")]
    pub(crate) envoys: Vec<Url>,
    /// After a change of members nothing is touched for this long: pushes by the old ring are still under way. Choose more
    /// than the longest of them takes
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) settle: Duration,
}

/// Watches over one run, or over all passes of a run that goes on.
pub(crate) struct SafetyCheck {
    source: Source,
    envoys: Vec<Url>,
    client: Client,
    settle: Duration,
    /// The digest of the fleet, and when it was first seen; `None` where its file alone tells since when it is that.
    known: Option<(String, Option<Instant>)>,
    interrupted: Arc<AtomicBool>,
    lock: Option<Box<dyn Fn() -> anyhow::Result<()> + Send + Sync>>,
}

#[derive(Deserialize)]
struct EnvoyStatus {
    digest: String,
}

impl SafetyCheck {
    /// Prepares; reads nothing yet. From now on Ctrl-C and SIGTERM end the run at the next batch; a second one ends it
    /// at once.
    ///
    /// # Errors
    /// When the system gives no signal handlers.
    pub(crate) fn new(args: &SafetyArgs, source: Source) -> anyhow::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&interrupted))?;
            flag::register(signal, Arc::clone(&interrupted))?;
        }
        Ok(Self {
            source,
            envoys: args.envoys.clone(),
            client: crate::http::client(ENVOY_TIMEOUT).build()?,
            settle: args.settle,
            known: None,
            interrupted,
            lock: None,
        })
    }

    /// Asks `lock` too before every batch.
    pub(crate) fn require_lock(&mut self, lock: impl Fn() -> anyhow::Result<()> + Send + Sync + 'static) {
        self.lock = Some(Box::new(lock));
    }

    /// Where the fleet is read from.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Whether somebody asked the run to end.
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Reads the fleet, and how much of the settling time is left.
    ///
    /// A file tells when it changed. Consul does not: then the time counts from when these members were first seen.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub(crate) fn read_fleet(&mut self) -> anyhow::Result<(Fleet, Duration)> {
        let fleet = self.source.read()?;
        let digest = fleet.router.digest();
        let seen = match self.known.take() {
            Some((known, seen)) if known == digest => seen,
            None if fleet.changed.is_some() => None,
            _ => Some(Instant::now()),
        };
        // Two clocks, the shorter time counts: ours may be set meanwhile.
        let seen_for = seen.map_or(Duration::MAX, |seen| seen.elapsed());
        let file_for = fleet.changed.map_or(Duration::MAX, |changed| changed.elapsed().unwrap_or_default());
        self.known = Some((digest, seen));
        Ok((fleet, self.settle.saturating_sub(seen_for.min(file_for))))
    }

    /// Waits until the settling time is over; `notice` is told once how long that will take. Then all that
    /// [`SafetyCheck::check`] asks holds.
    ///
    /// # Errors
    /// As [`Source::read`] and [`SafetyCheck::check`].
    pub(crate) fn wait_until_settled(&mut self, notice: impl FnOnce(Duration)) -> anyhow::Result<Fleet> {
        let mut notice = Some(notice);
        loop {
            let (fleet, left) = self.read_fleet()?;
            if left.is_zero() {
                self.check()?;
                return Ok(fleet);
            }
            ensure!(!self.interrupted(), "interrupted: nothing was touched");
            if let Some(notice) = notice.take() {
                notice(left);
            }
            thread::sleep(left.min(PAUSE));
        }
    }

    /// Whether acting is still safe: not interrupted, the lock is held, the members and settings are those of the last
    /// [`SafetyCheck::read_fleet`], and all Envoys have them.
    ///
    /// # Errors
    /// What is not so; [`NotSafe`] but for an interruption.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.interrupted(), "interrupted");
        let fleet = self.source.read().context(NotSafe("the members cannot be read".to_owned()))?;
        let digest = fleet.router.digest();
        let known = self.known.as_ref().map(|(known, _)| known);
        ensure!(
            known == Some(&digest),
            NotSafe("members or settings changed while it ran; run it again".to_owned())
        );
        for envoy in &self.envoys {
            let theirs = self.envoy_digest(envoy, fleet.router.config())?;
            ensure!(
                theirs == digest,
                NotSafe(format!("the ring of {envoy} has the digest {theirs}, found {digest} here"))
            );
        }
        // Last, because many Envoys take their time.
        self.lock.as_ref().map_or(Ok(()), |lock| lock())
    }

    fn envoy_digest(&self, envoy: &Url, config: &Config) -> anyhow::Result<String> {
        let path = &config.status_path;
        ensure!(
            !path.is_empty(),
            BadInput("--envoy: the configuration has no status_path, where Envoy tells its ring".to_owned())
        );
        let status = self
            .ask(envoy, path)
            .with_context(|| NotSafe(format!("{envoy} does not tell its ring at {path}")))?;
        Ok(status.digest)
    }

    fn ask(&self, envoy: &Url, path: &str) -> anyhow::Result<EnvoyStatus> {
        Ok(self.client.get(envoy.join(path)?).send()?.error_for_status()?.json()?)
    }
}
