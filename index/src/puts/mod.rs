//! The target of `remote.send`: puts of OpenTSDB on the way to it, in their order.
//!
//! A request with puts is answered after the target has accepted them; if it does not in time, the sender gets 503 and repeats
//! them. Puts made from remote writes wait without their sender, up to a limit of memory; above it they are dropped and counted.

mod convert;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use pushring_index::convert::{Charset, Put};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::error;

use crate::config;
use worker::{State, Worker};

/// Memory of the puts that wait, in bytes.
const ROOM: usize = 64 << 20;
/// Memory of a put without its texts.
const PUT: usize = 128;
/// Memory of a tag without its texts.
const TAG: usize = 64;
/// Longest time for the last puts when the process ends.
const LAST_PUTS: Duration = Duration::from_secs(10);

/// The queue in front of the target.
#[derive(Debug)]
pub(crate) struct Puts {
    jobs: Mutex<Option<mpsc::UnboundedSender<Job>>>,
    /// A permit for each byte that waits.
    room: Arc<Semaphore>,
    state: Arc<State>,
    worker: Mutex<Option<JoinHandle<()>>>,
    /// Whether remote writes become puts, and their names.
    convert: Option<Charset>,
    timeout: Duration,
}

/// The reason why puts of a sender were not passed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// They may be accepted later.
    Away(String),
    /// The target will never accept them.
    Rejected(String),
}

/// Puts that wait together.
#[derive(Debug)]
struct Job {
    puts: Vec<Put>,
    /// The request that waits for the target; none for converted writes.
    answer: Option<oneshot::Sender<Result<(), Refusal>>>,
    _room: OwnedSemaphorePermit,
}

impl Job {
    /// Returns whether its sender was answered 503, and sends the puts again.
    fn is_abandoned(&self) -> bool {
        self.answer.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

impl Puts {
    /// Starts the task that sends.
    ///
    /// # Errors
    /// If the system has no certificates for `https`.
    pub(crate) fn start(settings: &config::Send) -> anyhow::Result<Self> {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let state = Arc::new(State::default());
        let worker = Worker::new(settings, state.clone())?;
        let charset = match settings.charset {
            config::Charset::Victoria => Charset::Victoria,
            config::Charset::Strict => Charset::Strict,
        };
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            room: Arc::new(Semaphore::new(ROOM)),
            state,
            worker: Mutex::new(Some(tokio::spawn(worker.run(waiting)))),
            convert: settings.convert.then_some(charset),
            timeout: Duration::from_secs(settings.timeout),
        })
    }

    /// Returns whether remote writes become puts.
    pub(crate) fn converts(&self) -> bool {
        self.convert.is_some()
    }

    /// Passes puts on, and waits for the answer of the target.
    ///
    /// # Errors
    /// If the target did not accept all of them.
    pub(crate) async fn send(&self, puts: Vec<Put>) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        if !self.queue(puts, Some(answer)) {
            return Err(Refusal::Away("too many puts wait for the target; try again".to_owned()));
        }
        match timeout(self.timeout, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Refusal::Away("the server is ending; try again".to_owned())),
            Err(_) => Err(Refusal::Away(self.state.reason())),
        }
    }

    /// Queues puts that no request waits for. Without room, they are dropped and counted; returns false then.
    fn offer(&self, puts: Vec<Put>) -> bool {
        let number = puts.len();
        let is_queued = self.queue(puts, None);
        if !is_queued {
            counter!("metric_index_puts_dropped_total", "reason" => "queue full").increment(number as u64);
        }
        is_queued
    }

    fn queue(&self, puts: Vec<Put>, answer: Option<oneshot::Sender<Result<(), Refusal>>>) -> bool {
        // More than all of the memory takes all of it.
        let bytes = puts.iter().map(size).sum::<usize>().clamp(1, ROOM) as u32;
        let Ok(room) = self.room.clone().try_acquire_many_owned(bytes) else { return false };
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(jobs) = jobs.as_ref() else { return false };
        self.state.add(puts.len());
        jobs.send(Job { puts, answer, _room: room }).is_ok()
    }

    /// Sends what waits and ends. The caller has ended the requests before.
    pub(crate) async fn end(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut worker) = worker else { return };
        if timeout(LAST_PUTS, &mut worker).await.is_err() {
            worker.abort();
            let puts = self.state.waiting();
            counter!("metric_index_puts_dropped_total", "reason" => "end").increment(puts as u64);
            error!(puts, "not sent before the end: the target of remote.send is away");
        }
    }
}

/// Returns the memory of a put, about.
fn size(put: &Put) -> usize {
    let tag = |(name, value): (&String, &String)| TAG + name.len() + value.len();
    PUT + put.metric.len() + put.tags.iter().map(tag).sum::<usize>()
}
