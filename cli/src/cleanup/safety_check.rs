//! Checks before every batch that deleting or copying is safe.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use pushring_router::Config;
use reqwest::blocking::Client;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::duration;
use crate::error::{BadInput, NotSafe};
use crate::fleet::source::{Fleet, Source};
use crate::http::{AnswerLimits, Secret, SecretKind, ServerUrl, Tls, cause, send};
use crate::reason::Code;

/// An Envoy that answers later counts as one with another ring.
const ENVOY_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval between two reads of the members while they settle.
const PAUSE: Duration = Duration::from_millis(200);

/// Conditions for deleting and copying. The default asks no Envoy and waits for nothing.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Safety")]
pub(crate) struct SafetyArgs {
    /// URL at which an Envoy accepts pushes. Nothing is changed unless its ring is the same as the command's (requires
    /// `status_path`). Repeatable; pass every Envoy, or a name with the addresses of all
    #[arg(long = "envoy", value_name = "URL")]
    pub(crate) envoys: Vec<String>,
    /// CA certificates (PEM file) for Envoys with https, in addition to the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) envoy_ca_file: Option<PathBuf>,
    /// Client certificate (PEM file) for Envoys that require one
    #[arg(long, value_name = "FILE", requires = "envoy_key")]
    pub(crate) envoy_cert: Option<PathBuf>,
    /// Key of that client certificate (PEM file)
    #[arg(long, value_name = "FILE", requires = "envoy_cert")]
    pub(crate) envoy_key: Option<PathBuf>,
    /// File with the value of the Authorization header for Envoys that require a password or a token
    #[arg(long, value_name = "FILE")]
    pub(crate) envoy_authorization_file: Option<PathBuf>,
    /// Wait this long after a change of members, because pushes routed by the old ring are still in flight. Set it to
    /// more than the duration of the longest push
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::within(Duration::ZERO, duration::DAY))]
    pub(crate) settle: Duration,
}

/// Checks the safety of one run, or of all passes of watch mode.
pub(crate) struct SafetyCheck {
    source: Source,
    envoys: Vec<ServerUrl>,
    client: Client,
    args: SafetyArgs,
    /// The digest of the fleet, and when it was first seen; `None`: only the time of the file counts.
    known: Option<(String, Option<Instant>)>,
    interrupted: Arc<AtomicBool>,
    lock: Option<Box<dyn Fn() -> anyhow::Result<()> + Send + Sync>>,
}

#[derive(Deserialize)]
struct EnvoyStatus {
    digest: String,
}

impl SafetyCheck {
    /// Installs signal handlers: Ctrl-C and SIGTERM end the run at the next batch, a second signal ends it
    /// at once. Reads only the files of the flags yet.
    ///
    /// # Errors
    /// [`BadInput`]: a URL of an Envoy or one of the files is invalid. Any other error: the signal handlers cannot be installed.
    pub(crate) fn new(args: &SafetyArgs, source: Source) -> anyhow::Result<Self> {
        let envoys = args.envoys.iter().map(|url| ServerUrl::parse("--envoy", url));
        let envoys = envoys.collect::<Result<_, _>>()?;
        let client = tls(args).add_to(crate::http::client(ENVOY_TIMEOUT))?;
        authorization(args.envoy_authorization_file.as_deref())?;
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&interrupted))?;
            flag::register(signal, Arc::clone(&interrupted))?;
        }
        Ok(Self {
            source,
            envoys,
            client: client.build().map_err(|error| BadInput(format!("--envoy: {error}")))?,
            args: args.clone(),
            known: None,
            interrupted,
            lock: None,
        })
    }

    /// Also calls `lock` before every batch.
    pub(crate) fn require_lock(&mut self, lock: impl Fn() -> anyhow::Result<()> + Send + Sync + 'static) {
        self.lock = Some(Box::new(lock));
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Returns `--settle`: longer than any push is in flight.
    pub(crate) fn settle(&self) -> Duration {
        self.args.settle
    }

    /// Returns whether a signal asked the run to end.
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Reads the fleet and computes the rest of the settling time.
    ///
    /// The settling time starts when the file changed. Consul does not report changes, so there it starts
    /// when these members were first seen.
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
        // The shorter of two measurements counts, because the system clock may be set during the run.
        let seen_for = seen.map_or(Duration::MAX, |seen| seen.elapsed());
        let file_for = fleet.changed.map_or(Duration::MAX, |changed| changed.elapsed().unwrap_or_default());
        self.known = Some((digest, seen));
        Ok((fleet, self.args.settle.saturating_sub(seen_for.min(file_for))))
    }

    /// Waits until the settling time is over, then calls [`SafetyCheck::check`]. Calls `notice` once with
    /// the time left.
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
            ensure!(!self.interrupted(), "interrupted: nothing was changed");
            if let Some(notice) = notice.take() {
                notice(left);
            }
            thread::sleep(left.min(PAUSE));
        }
    }

    /// Checks that the run is not interrupted, that members and settings have not changed since the last
    /// [`SafetyCheck::read_fleet`], that all Envoys have the same ring, and that the lock is held.
    ///
    /// # Errors
    /// The first condition that does not hold; [`NotSafe`] unless interrupted.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.interrupted(), Code::Interrupted.because("interrupted"));
        let fleet = self.source.read().context(NotSafe("the members cannot be read".to_owned()))?;
        let digest = fleet.router.digest();
        let known = self.known.as_ref().map(|(known, _)| known);
        ensure!(
            known == Some(&digest),
            NotSafe("members or settings changed during the run; run it again".to_owned())
        );
        for envoy in &self.envoys {
            for (shown, client) in self.clients(envoy)? {
                let theirs = self.envoy_digest(envoy, &shown, &client, fleet.router.config())?;
                ensure!(
                    theirs == digest,
                    NotSafe(format!("the ring of {shown} has digest {theirs}; expected {digest}"))
                );
            }
        }
        // Checked last, because many Envoys take long to answer.
        self.lock.as_ref().map_or(Ok(()), |lock| lock())
    }

    /// Returns how an Envoy is shown, and a client for it; of a name with several addresses, such as a headless service of
    /// Kubernetes, one for each.
    fn clients(&self, envoy: &ServerUrl) -> anyhow::Result<Vec<(String, Client)>> {
        let unknown = || NotSafe(format!("the addresses of {envoy} are unknown"));
        let addresses = envoy.addresses(ENVOY_TIMEOUT).with_context(unknown)?;
        if addresses.len() == 1 {
            return Ok(vec![(envoy.to_string(), self.client.clone())]);
        }
        let client = |address: SocketAddr| {
            // The name stays in the request, and in the check of a certificate.
            let client = tls(&self.args).add_to(crate::http::client(ENVOY_TIMEOUT))?;
            Ok((format!("{envoy} ({address})"), client.resolve(envoy.host(), address).build()?))
        };
        addresses.into_iter().map(client).collect()
    }

    fn envoy_digest(
        &self,
        envoy: &ServerUrl,
        shown: &str,
        client: &Client,
        config: &Config,
    ) -> anyhow::Result<String> {
        let path = &config.status_path;
        ensure!(
            !path.is_empty(),
            BadInput(
                "--envoy: the configuration has no status_path; set it, so that Envoy reports its ring"
                    .to_owned()
            )
        );
        let status = self
            .ask(envoy, client, path)
            .with_context(|| NotSafe(format!("{shown} did not report its ring at {path}")))?;
        Ok(status.digest)
    }

    fn ask(&self, envoy: &ServerUrl, client: &Client, path: &str) -> anyhow::Result<EnvoyStatus> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let mut request = client.get(envoy.at(&segments));
        // For each request, because the file may be replaced while a sweeper runs.
        if let Some(value) = authorization(self.args.envoy_authorization_file.as_deref())? {
            request = request.header(AUTHORIZATION, value);
        }
        let response = send(request, AnswerLimits::of_agent(ENVOY_TIMEOUT)).map_err(cause)?;
        if !response.status().is_success() {
            bail!("{}", response.failure());
        }
        response.json("an Envoy with status_path")
    }
}

fn tls(args: &SafetyArgs) -> Tls<'_> {
    Tls {
        flags: "--envoy",
        ca_file: args.envoy_ca_file.as_deref(),
        cert: args.envoy_cert.as_deref(),
        key: args.envoy_key.as_deref(),
    }
}

fn authorization(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    Secret { kind: SecretKind::Header, flag: "--envoy-authorization", variable: "", file, given: None }.read()
}
