//! The loop of `pushring discover`: events of the source, of files and of signals; after each, one publication.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow, ensure};
use pushring_router::Config;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{info, warn};

use super::events::EventLog;
use super::file_sd::FileSd;
use super::member_series::MemberSeries;
use super::metrics::{self, Outcome};
use super::state::State;
use super::target::{self, Target};
use crate::command::publish::Report;
use crate::discover::memory::{DEPARTED, Limits, Memory};
use crate::discover::path_watch::PathWatch;
use crate::discover::source::{self, Event, Snapshot, Source};
use crate::error::{BadInput, NotSafe};
use crate::fleet::members::{Members, Settings};
use crate::fleet::registration::{Registration, Registrations};
use crate::fleet::source::read;
use crate::log;
use crate::metrics_server::MetricsServer;
use crate::output::{self, Output};
use crate::text;

/// How long changes are collected before a publication: a registry sends those of one moment one by one.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// Pause before a failed publication is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Interval at which the time of the last sync moves on while nothing changes.
const IDLE: Duration = Duration::from_secs(10);

/// Makes the source that the flags and the settings name.
pub(super) type MakeSource = dyn Fn(&Settings) -> anyhow::Result<Box<dyn Source>>;

/// Everything that a publication needs.
pub(super) struct Discovery {
    make_source: Box<MakeSource>,
    /// The number of the present source.
    source: Arc<AtomicU64>,
    settings_path: PathBuf,
    settings: Settings,
    target: Target,
    limits: Limits,
    memory: Memory,
    state: State,
    snapshot: Snapshot,
    /// Whether there is a snapshot; without one, the members are not known.
    synced: bool,
    /// When the source went away; `None` while it is there.
    away_since: Option<Instant>,
    /// When to publish without an event: again after an error, or to drop what left the ring.
    due: Option<Instant>,
    ready: Arc<AtomicBool>,
    log: EventLog,
    file_sd: FileSd,
    series: MemberSeries,
}

impl Discovery {
    /// Reads the settings, and locks the folder of the state for this process.
    ///
    /// # Errors
    /// [`BadInput`]: the settings are wrong. Any other error: another process has the folder, it cannot be written, or it has
    /// no state yet and the live ring cannot be read.
    pub(super) fn new(
        make_source: Box<MakeSource>,
        settings_path: PathBuf,
        mut target: Target,
        limits: Limits,
        file_sd: FileSd,
    ) -> anyhow::Result<Self> {
        let settings = read_settings(&settings_path, &target)?;
        let folder = target.state().to_owned();
        let (state, memory) = State::open(&folder, || target.read().map(|()| target.ring()))?;
        Ok(Self {
            make_source,
            source: Arc::default(),
            settings_path,
            settings,
            target,
            limits,
            memory,
            state,
            snapshot: Snapshot::default(),
            synced: false,
            away_since: None,
            due: None,
            ready: Arc::default(),
            log: EventLog::default(),
            file_sd,
            series: MemberSeries::default(),
        })
    }

    /// Publishes the first snapshot and prints the report.
    ///
    /// # Errors
    /// The source cannot be read, or as [`Target::publish`]. [`NotSafe`]: so few members are passing that the last ring stays.
    pub(super) fn once(mut self, output: Output) -> anyhow::Result<()> {
        let (sender, events) = channel();
        source::start((self.make_source)(&self.settings)?, sender, self.source.clone())?;
        match events.recv().context("the source ended")? {
            Event::Snapshot(_, latest) => self.snapshot = latest.take().context("the source ended")?,
            Event::Away(_, reason) => return Err(anyhow!("{reason}")),
            Event::Reload | Event::Terminate => {}
        }
        self.target.read()?;
        let (found, members) = self.members()?;
        let is_held = self.is_held(&members);
        self.write_targets(&found, &members, is_held)?;
        ensure!(!is_held, NotSafe(held(&members)));
        let report = self.target.publish(&members)?;
        report.warnings.iter().for_each(|warning| output::warn(text::line(warning)));
        output::show(output, &report, ToString::to_string)
    }

    /// Follows the source until a signal ends it.
    ///
    /// # Errors
    /// [`BadInput`]: the address to listen at cannot be used. Later errors are logged.
    pub(super) fn run(mut self, listen: SocketAddr) -> anyhow::Result<()> {
        let source = (self.make_source)(&self.settings)?;
        let server = MetricsServer::bind(listen)?;
        log::start();
        info!(url = format!("http://{}/metrics", server.address()), "started");
        let ready = self.ready.clone();
        let series = self.series.page();
        let ready = move || ready.load(Ordering::Relaxed);
        let handle = server.start(&metrics::BUCKETS, ready, move || series.text())?;
        metrics::describe();
        let (sender, events) = channel();
        signals(sender.clone())?;
        watch_settings(self.settings_path.clone(), sender.clone())?;
        source::start(source, sender.clone(), self.source.clone())?;
        while self.next(&events, &sender) {
            self.publish();
            handle.run_upkeep();
        }
        info!("ended");
        Ok(())
    }

    /// Waits until a publication is due; returns `false` at the end.
    fn next(&mut self, events: &Receiver<Event>, sender: &Sender<Event>) -> bool {
        loop {
            match events.recv_timeout(self.pause()) {
                Ok(event) => {
                    if !self.handle(event, sender) {
                        return false;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    metrics::source(self.is_up());
                    match self.due {
                        Some(due) if due <= Instant::now() => return true,
                        _ => continue,
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            let collected = Instant::now() + DEBOUNCE;
            while let Ok(event) = events.recv_timeout(collected.saturating_duration_since(Instant::now())) {
                if !self.handle(event, sender) {
                    return false;
                }
            }
            if self.synced {
                return true;
            }
        }
    }

    /// Returns whether the whole source has been read and is not away.
    fn is_up(&self) -> bool {
        self.synced && self.away_since.is_none() && self.snapshot.away.is_none()
    }

    fn pause(&self) -> Duration {
        self.due.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()).min(IDLE))
    }

    /// Publishes again after this time, without an event.
    fn publish_in(&mut self, pause: Duration) {
        let due = Instant::now() + pause;
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Returns the time for the memory, which stops while the source is away: no member could come back.
    fn now(&self) -> SystemTime {
        let away = self.away_since.map(|since| since.elapsed()).unwrap_or_default();
        SystemTime::now().checked_sub(away).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Returns `false` at the end.
    fn handle(&mut self, event: Event, sender: &Sender<Event>) -> bool {
        match event {
            // From a source that the settings replaced.
            Event::Snapshot(number, _) | Event::Away(number, _)
                if number != self.source.load(Ordering::Relaxed) => {}
            Event::Snapshot(_, latest) => {
                let Some(snapshot) = latest.take() else { return true };
                if let Some(since) = self.away_since.take() {
                    self.memory.skip(since.elapsed());
                }
                self.log.source(snapshot.away.as_deref());
                self.snapshot = snapshot;
                self.synced = true;
                metrics::source(self.is_up());
            }
            Event::Away(_, reason) => {
                self.away_since.get_or_insert_with(Instant::now);
                self.log.source(Some(&reason));
                metrics::source(false);
            }
            Event::Reload => match self.reload(sender) {
                Ok(()) => info!("settings read"),
                Err(error) => {
                    warn!(
                        error = text::error(&format!("{error:#}")),
                        "settings rejected; the last ones stay"
                    );
                }
            },
            Event::Terminate => return false,
        }
        true
    }

    /// Reads the settings again. Settings of the source make a new one.
    fn reload(&mut self, sender: &Sender<Event>) -> anyhow::Result<()> {
        let settings = read_settings(&self.settings_path, &self.target)?;
        if settings.consul != self.settings.consul {
            let source = (self.make_source)(&settings)?;
            self.source.fetch_add(1, Ordering::Relaxed);
            source::start(source, sender.clone(), self.source.clone())?;
        }
        self.settings = settings;
        Ok(())
    }

    /// Publishes the members as they are now, and logs the result.
    fn publish(&mut self) {
        let began = Instant::now();
        self.due = None;
        let read = self.target.read();
        let (found, members) = match self.members() {
            Ok(members) => members,
            Err(error) => return self.failed(&error, began),
        };
        let held = self.is_held(&members);
        metrics::members(&members, held);
        self.series.members(&members, &self.settings);
        self.log.held(held.then(|| self::held(&members)));
        // Before the publication, which may have to wait for Envoy.
        let targets = self.write_targets(&found, &members, held);
        if targets.is_err() {
            self.publish_in(RETRY);
        }
        self.log.targets(targets.err());
        if held {
            metrics::published(Outcome::Held, began.elapsed());
            self.publish_again(false);
        } else {
            match read.and_then(|()| self.target.publish(&members)) {
                Ok(report) => self.published(&report, began),
                Err(error) => self.failed(&error, began),
            }
        }
        self.series.ring(|| self.target.ring());
    }

    /// Writes the target files for Prometheus.
    fn write_targets(&mut self, found: &Registrations, members: &Members, held: bool) -> anyhow::Result<()> {
        let is_leaving = |one: &&Registration| one.leaving && one.status != DEPARTED;
        let leaving = self.snapshot.registrations.found.iter().filter(is_leaving);
        let all: Vec<_> = found.found.iter().chain(leaving).cloned().collect();
        let ring = || if held { self.target.ring() } else { Config::parse(members.config.as_bytes()).ok() };
        self.file_sd.write(&all.into(), members, ring, &self.snapshot.services)
    }

    fn published(&mut self, report: &Report, began: Instant) {
        self.log.published(report);
        if target::replaced_ring(report) {
            self.series.ring_changed();
        }
        metrics::published(
            if report.moved.is_empty() { Outcome::Unchanged } else { Outcome::Published },
            began.elapsed(),
        );
        self.publish_again(!report.kept.is_empty());
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Publishes again without an event if the target needs it.
    fn publish_again(&mut self, kept: bool) {
        if let Some(pause) = self.target.again(kept) {
            self.publish_in(pause);
        }
    }

    fn failed(&mut self, error: &anyhow::Error, began: Instant) {
        self.log.failed(error);
        metrics::published(Outcome::Failed, began.elapsed());
        // Bad input stays bad until it changes.
        if error.is::<BadInput>() {
            self.publish_again(false);
        } else {
            self.publish_in(RETRY);
        }
    }

    /// Returns the registrations that count now, those of the snapshot and the remembered ones, and decides the members.
    fn members(&mut self) -> anyhow::Result<(Registrations, Members)> {
        let now = self.now();
        // A registration that can be no member is not that of the member whose name it has, which then counts as vanished.
        let Registrations { found, unreadable } = self.snapshot.registrations.clone();
        let (usable, odd): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|one| one.leaving || self.settings.accepts(one));
        let usable = Registrations { found: usable, unreadable };
        let (mut found, changes) = self.memory.update(&usable, self.limits, now);
        found.found.extend(odd);
        self.log.changes(&changes);
        if let Some(change) = self.memory.next_change(self.limits, now) {
            self.publish_in(change.duration_since(now).unwrap_or_default());
        }
        // Before the publication: whatever was seen counts, even if this process is killed now.
        self.state.write(&self.memory)?;
        let members = Members::decide(&self.settings, &found);
        Ok((found, members))
    }

    /// Returns whether the last ring stays, because too few members are passing.
    fn is_held(&self, members: &Members) -> bool {
        members.passing() < members.min_members && self.target.has_ring()
    }
}

fn held(members: &Members) -> String {
    format!(
        "{} of {} registered members are passing, expected at least {} (min_members_share); the last ring stays",
        members.passing(),
        members.clusters.len(),
        members.min_members
    )
}

fn read_settings(path: &std::path::Path, target: &Target) -> anyhow::Result<Settings> {
    let settings = Settings::checked(&read(path)?).with_context(|| text::path(path))?;
    target.check(&settings).with_context(|| text::path(path))?;
    Ok(settings)
}

fn signals(events: Sender<Event>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Reload } else { Event::Terminate };
            if events.send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// Reads the settings again when their file changes.
fn watch_settings(path: PathBuf, events: Sender<Event>) -> anyhow::Result<()> {
    let mut watch = PathWatch::new(&path)?;
    thread::Builder::new().name("settings".to_owned()).spawn(move || {
        let mut last = read(&path).ok();
        loop {
            if let Err(error) = watch.wait() {
                return warn!(
                    error = format!("{error:#}"),
                    "changes of the settings are not seen; send SIGHUP"
                );
            }
            let now = read(&path).ok();
            if now != last && events.send(Event::Reload).is_err() {
                return;
            }
            last = now;
        }
    })?;
    Ok(())
}
