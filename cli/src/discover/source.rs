//! The parts that all sources share: a thread that follows one, and follows it again after an error.

use std::convert::Infallible;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use crate::fleet::registration::Registrations;

/// Pause after the first error of a source; it doubles with each further one.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Everything that a registry lists at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) registrations: Registrations,
}

/// An event for the loop that publishes.
#[derive(Debug)]
pub(crate) enum Event {
    /// The list of the source with this number.
    Snapshot(u64, Snapshot),
    /// The source with this number cannot be read; the text is the reason.
    Away(u64, String),
    /// Read the settings again.
    Reload,
    /// End.
    Terminate,
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
}

impl Out {
    /// Sends a snapshot.
    ///
    /// # Errors
    /// The command ends.
    pub(crate) fn send(&self, snapshot: Snapshot) -> anyhow::Result<()> {
        self.events.send(Event::Snapshot(self.number, snapshot)).map_err(|_| anyhow!("the command ends"))
    }
}

/// Follows a source in a thread of its own until the receiver of the events is gone. Events carry its number: a source that
/// was replaced, because the settings changed, may still send some.
pub(crate) fn start(mut source: Box<dyn Source>, events: Sender<Event>, number: u64) -> anyhow::Result<()> {
    let out = Out { events, number };
    thread::Builder::new().name("source".to_owned()).spawn(move || {
        let mut pause = MIN_PAUSE;
        loop {
            let began = Instant::now();
            let Err(error) = source.follow(&out);
            if out.events.send(Event::Away(number, format!("{error:#}"))).is_err() {
                return;
            }
            // A source that was there for a while is not failing over and over.
            pause = if began.elapsed() > MAX_PAUSE { MIN_PAUSE } else { (pause * 2).min(MAX_PAUSE) };
            thread::sleep(pause);
        }
    })?;
    Ok(())
}
