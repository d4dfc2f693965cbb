//! The parts that all sources share: a thread that follows one, and follows it again after an error.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SendError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use serde::Deserialize;

use crate::fleet::registration::Registrations;

/// Pause after the first error of a source; it doubles with each further one.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Everything that a registry lists at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) registrations: Registrations,
    /// Why a part of the registry cannot be read now, for example a datacenter; its registrations are as last read.
    pub(crate) away: Option<String>,
    /// Every service of the registry, for `--file-sd-all`; empty if the source does not list them.
    pub(crate) services: Vec<ServiceInstance>,
}

/// One registered process of any service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceInstance {
    /// Name of the service.
    pub(crate) service: String,
    /// ID of the instance, unique in the service.
    pub(crate) id: String,
    /// Host name or IP address, without a port.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) routes: Vec<Route>,
}

/// A route that an instance says it serves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Route {
    pub(crate) path: String,
    /// HTTP method; empty: any.
    #[serde(default)]
    pub(crate) method: String,
}

impl From<Registrations> for Snapshot {
    fn from(registrations: Registrations) -> Self {
        Self { registrations, ..Self::default() }
    }
}

/// An event for the loop that publishes.
#[derive(Debug)]
pub(crate) enum Event {
    /// The source with this number has a new list.
    Snapshot(u64, Latest),
    /// The source with this number cannot be read; the text is the reason.
    Away(u64, String),
    /// Read the settings again.
    Reload,
    /// End.
    Terminate,
}

/// The last snapshot that was not taken yet. A registry can change a thousand times during one publication; a queue of all
/// snapshots would fill the memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latest(Arc<Mutex<Option<Snapshot>>>);

impl Latest {
    /// Returns `None` if an earlier event had the snapshot.
    pub(crate) fn take(&self) -> Option<Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns whether there was none to take.
    fn replace(&self, snapshot: Snapshot) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(snapshot).is_none()
    }
}

/// A registry of gateways.
pub(crate) trait Source: Send + 'static {
    /// Sends a snapshot at once and after each change, until the source cannot be read. A snapshot is always whole: an error
    /// never looks like a source without members.
    ///
    /// # Errors
    /// The source cannot be read, or an answer of it is not understood. [`crate::error::BadInput`]: it never can with these
    /// settings.
    fn follow(&mut self, out: &Out) -> anyhow::Result<Infallible>;
}

/// Where a source sends its snapshots.
pub(crate) struct Out {
    events: Sender<Event>,
    number: u64,
    /// The number of the source that is followed.
    current: Arc<AtomicU64>,
    latest: Latest,
}

impl Out {
    fn is_replaced(&self) -> bool {
        self.current.load(Ordering::Relaxed) != self.number
    }

    /// Sends a snapshot.
    ///
    /// # Errors
    /// The command ends, or another source replaced this one.
    pub(crate) fn send(&self, snapshot: Snapshot) -> anyhow::Result<()> {
        ensure!(!self.is_replaced(), "another source replaced this one");
        if self.latest.replace(snapshot) {
            let event = Event::Snapshot(self.number, self.latest.clone());
            self.events.send(event).map_err(|_| anyhow!("the command ends"))?;
        }
        Ok(())
    }

    /// Reports that the source cannot be read. A later snapshot gets an event of its own: it ends the absence.
    fn away(&mut self, reason: String) -> Result<(), SendError<Event>> {
        self.latest = Latest::default();
        self.events.send(Event::Away(self.number, reason))
    }
}

/// Follows a source in a thread of its own until the receiver of the events is gone, or `current` has another number, because
/// the settings changed: then the source ends with its next event. Events carry its number, for some may be on their way.
pub(crate) fn start(
    mut source: Box<dyn Source>,
    events: Sender<Event>,
    current: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let number = current.load(Ordering::Relaxed);
    let mut out = Out { events, number, current, latest: Latest::default() };
    thread::Builder::new().name("source".to_owned()).spawn(move || {
        let mut pause = MIN_PAUSE;
        loop {
            let began = Instant::now();
            let Err(error) = source.follow(&out);
            if out.is_replaced() || out.away(format!("{error:#}")).is_err() {
                return;
            }
            // A source that was there for a while is not failing over and over.
            pause = if began.elapsed() > MAX_PAUSE { MIN_PAUSE } else { (pause * 2).min(MAX_PAUSE) };
            thread::sleep(pause);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::fleet::registration::Registration;

    fn snapshot(port: i64) -> Snapshot {
        Registrations::from(vec![Registration::new("a", port)]).into()
    }

    #[test]
    fn keeps_the_last_snapshot_and_the_order_of_absences() {
        let (events, received) = channel();
        let mut out =
            Out { events, number: 7, current: Arc::new(AtomicU64::new(7)), latest: Latest::default() };
        (1..=1000).for_each(|port| out.send(snapshot(port)).unwrap());
        out.away("gone".to_owned()).unwrap();
        out.send(snapshot(1001)).unwrap();
        drop(out);
        let seen: Vec<_> = received
            .iter()
            .map(|event| match event {
                Event::Snapshot(7, latest) => latest.take().map(|one| one.registrations.found[0].port),
                Event::Away(7, _) => None,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seen, [Some(1000), None, Some(1001)]);
    }
}
