//! From a series that may be new to one that is durable. A request never waits for it.
//!
//! The one rule: nothing is in the set of known series before it is durable. A series that is dropped on the way (a full queue, a
//! sink that is away) is not in the set, so that the next request that has it finds it again.

mod inbox;
mod indexer;
mod kafka;
mod quota;
mod rebuild;
mod record;
mod redis;
mod sink;
#[cfg(test)]
mod tests;
mod touch;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};
use pushring_index::known::{Known, spread};
use pushring_index::{Key, Kind, Sighting};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

pub(crate) use indexer::Indexer;
use quota::Quotas;
pub(crate) use rebuild::{Rebuilt, rebuild};
pub(crate) use sink::Sink;
pub(crate) use touch::Touch;

/// Most series of one write to the sink.
const BATCH: usize = 2_000;
/// Time for a batch to fill.
const LINGER: Duration = Duration::from_millis(20);
/// Longest time for which a pushed series is known, in seconds: two owners of a group show when both get it in turn.
const PUSH_EXPIRE: u32 = 60;
/// Longest pause after a write that failed.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Writes of a batch that fail before its series are tried one by one.
const PATIENCE: u32 = 3;
/// Series that fail alone, without one that does not, before the sink counts as away.
const PROBES: usize = 8;
/// Longest time to write what is queued when the process ends.
const LAST_WRITES: Duration = Duration::from_secs(60);

/// A series that is not known to be durable.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    /// The name of its bytes in a remote write.
    pub(crate) raw: Option<Key>,
    /// The key of the series and its source: a series from another owner or sender is another one here.
    pub(crate) id: Key,
    pub(crate) sighting: Sighting,
}

/// The settings that a reload changes.
#[derive(Debug)]
struct Settings {
    /// Seconds for which the set knows a series, give or take a fifth.
    expire: AtomicU64,
    max_queued: AtomicU64,
}

/// The set and the queue.
#[derive(Debug)]
pub(crate) struct Pipeline {
    known: Known,
    queue: Mutex<VecDeque<Fresh>>,
    wake: Notify,
    ending: AtomicBool,
    started: Instant,
    settings: Settings,
    quotas: Quotas,
}

impl Pipeline {
    /// Creates an empty one.
    pub(crate) fn new(config: &crate::config::Config) -> Self {
        let pipeline = Self {
            known: Known::new(config.metric_store.cache.max_series),
            queue: Mutex::default(),
            wake: Notify::new(),
            ending: AtomicBool::new(false),
            started: Instant::now(),
            settings: Settings { expire: AtomicU64::new(0), max_queued: AtomicU64::new(0) },
            quotas: Quotas::default(),
        };
        pipeline.configure(config);
        pipeline
    }

    /// Takes the settings of a configuration.
    pub(crate) fn configure(&self, config: &crate::config::Config) {
        self.settings.expire.store(config.metric_store.cache.default_expire, Ordering::Relaxed);
        self.settings.max_queued.store(config.limits.max_queued_series as u64, Ordering::Relaxed);
        self.quotas.configure(config.limits.max_new_series_per_second);
    }

    /// Returns the positions of the keys that are not known to be durable, in ascending order.
    pub(crate) fn unknown(&self, keys: &[Key]) -> Vec<usize> {
        let mut positions = Vec::new();
        self.known.unknown(keys, self.now(), &mut positions);
        positions
    }

    /// Adds keys of bytes whose series is durable.
    pub(crate) fn know(&self, keys: impl Iterator<Item = Key>) {
        self.know_for(u32::MAX / 4, keys);
    }

    /// As [`Self::know`], for at most these seconds.
    fn know_for(&self, most: u32, keys: impl Iterator<Item = Key>) {
        let now = self.now();
        let seconds = self.settings.expire.load(Ordering::Relaxed).min(u64::from(most)) as u32;
        // The spread keeps all series of a start from coming back at once.
        self.known.insert(keys.map(|key| (key, now + spread(key, seconds).max(1))));
    }

    /// Queues series of one tenant. Without room, or above the limit of the tenant, they are dropped and counted.
    pub(crate) fn offer(&self, mut fresh: Vec<Fresh>) {
        self.limit(&mut fresh);
        if fresh.is_empty() {
            return;
        }
        let most = self.settings.max_queued.load(Ordering::Relaxed) as usize;
        let mut queue = self.queue();
        let room = most.saturating_sub(queue.len());
        if fresh.len() > room {
            counter!("metric_index_dropped_total", "reason" => "queue full")
                .increment((fresh.len() - room) as u64);
            fresh.truncate(room);
        }
        queue.extend(fresh);
        gauge!("metric_index_queue").set(queue.len() as f64);
        drop(queue);
        self.wake.notify_one();
    }

    /// Leaves as many series as the limit of the tenant allows.
    fn limit(&self, fresh: &mut Vec<Fresh>) {
        let Some(first) = fresh.first() else { return };
        let allowed = self.quotas.take(&first.sighting.tenant, fresh.len(), Instant::now());
        let over = fresh.len() - allowed;
        if over > 0 {
            counter!("metric_index_dropped_total", "reason" => "tenant limit").increment(over as u64);
            // Not always the first ones of a request: its last ones have their turn, too.
            let from = fastrand::usize(..fresh.len());
            fresh.rotate_left(from);
            fresh.truncate(allowed);
        }
    }

    /// Ends [`Self::run`] as soon as the queue is empty. The caller has ended the requests before.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Removes what has expired, at this interval.
    pub(crate) async fn sweep(self: Arc<Self>, interval: Duration) {
        loop {
            sleep(interval).await;
            self.forget(self.now());
            gauge!("metric_index_known_series").set(self.known.len() as f64);
        }
    }

    /// Removes what has expired, later than that: see [`Self::not_new`].
    fn forget(&self, now: u32) {
        let expire = u32::try_from(self.settings.expire.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        self.known.sweep(now.saturating_sub(expire));
    }

    /// Writes what is queued until [`Self::end`].
    pub(crate) async fn run(self: Arc<Self>, sink: Sink) {
        self.drain(&sink).await;
        sink.end().await;
    }

    async fn drain(&self, sink: &Sink) {
        loop {
            let batch = self.next().await;
            if batch.is_empty() {
                return;
            }
            if !self.ending.load(Ordering::Relaxed) {
                self.write(sink, &batch).await;
            } else if timeout(LAST_WRITES, self.write(sink, &batch)).await.is_err() {
                let left = self.queue().len() + batch.len();
                error!(
                    series = left,
                    "not written before the end; the next requests that have them bring them back"
                );
                return;
            }
        }
    }

    /// Returns the next batch; it is empty at the end.
    async fn next(&self) -> Vec<Fresh> {
        loop {
            let (length, ending) = (self.queue().len(), self.ending.load(Ordering::Relaxed));
            match length {
                0 if ending => return Vec::new(),
                0 => self.wake.notified().await,
                _ => {
                    if length < BATCH && !ending {
                        sleep(LINGER).await;
                    }
                    let mut queue = self.queue();
                    let most = queue.len().min(BATCH);
                    let batch = queue.drain(..most).collect();
                    gauge!("metric_index_queue").set(queue.len() as f64);
                    return batch;
                }
            }
        }
    }

    /// Writes a batch, for as long as it takes.
    async fn write(&self, sink: &Sink, batch: &[Fresh]) {
        let (mut failures, mut pause) = (0, Duration::from_millis(100));
        loop {
            let Err(failed) = self.try_write(sink, batch).await else {
                if failures > 0 {
                    info!("series are written again");
                }
                return;
            };
            failures += 1;
            counter!("metric_index_write_failures_total").increment(1);
            if failures == 1 {
                warn!(error = format!("{failed:#}"), "series cannot be written; trying again");
            }
            if failures > PATIENCE && !sink.is_away(&failed) && self.one_by_one(sink, batch).await {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    async fn try_write(&self, sink: &Sink, batch: &[Fresh]) -> anyhow::Result<()> {
        let began = Instant::now();
        let new = sink.store(batch).await?;
        self.give_back(batch, &new);
        histogram!("metric_index_store_seconds").record(began.elapsed());
        counter!("metric_index_acked_total").increment(batch.len() as u64);
        let is_push = |fresh: &&Fresh| fresh.sighting.source.kind == Kind::Push;
        let keys = |fresh: &Fresh| fresh.raw.into_iter().chain([fresh.id]);
        self.know_for(PUSH_EXPIRE, batch.iter().filter(is_push).flat_map(keys));
        self.know(batch.iter().filter(|fresh| !is_push(fresh)).flat_map(keys));
        Ok(())
    }

    /// Gives back to the limits of the tenants what was not new.
    fn give_back(&self, batch: &[Fresh], new: &HashMap<String, usize>) {
        for (tenant, series) in self.not_new(batch, new) {
            self.quotas.give_back(tenant, series, Instant::now());
        }
    }

    /// Returns the number of series of each tenant that are not new. To Kafka, without Redis, all are new; but a key that is still
    /// in the set, though expired, is that of a series that was durable.
    fn not_new<'b>(&self, batch: &'b [Fresh], new: &HashMap<String, usize>) -> HashMap<&'b str, usize> {
        // Nothing has expired at the time 0.
        let was_durable = |fresh: &Fresh| self.known.contains(fresh.id, 0);
        let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
        for fresh in batch {
            let (sent, again) = counts.entry(&fresh.sighting.tenant).or_default();
            *sent += 1;
            *again += usize::from(was_durable(fresh));
        }
        let number = |(tenant, (sent, again)): (&'b str, (usize, usize))| {
            let new = new.get(tenant).copied().unwrap_or_default();
            (tenant, again.max(sent.saturating_sub(new)))
        };
        counts.into_iter().map(number).collect()
    }

    /// Writes series one by one, so that a bad one does not hold up the others. Returns false if the sink is away.
    async fn one_by_one(&self, sink: &Sink, batch: &[Fresh]) -> bool {
        let mut failed = Vec::new();
        for (index, fresh) in batch.iter().enumerate() {
            if let Err(error) = self.try_write(sink, std::slice::from_ref(fresh)).await {
                failed.push((fresh, error));
            }
            if failed.len() == index + 1 && failed.len() >= PROBES.min(batch.len()) {
                return false;
            }
        }
        for (fresh, error) in &failed {
            let labels = fresh.sighting.labels.to_string();
            error!(labels, error = format!("{error:#}"), "a series cannot be written");
        }
        counter!("metric_index_dropped_total", "reason" => "bad record").increment(failed.len() as u64);
        true
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Fresh>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since the start of the process.
    fn now(&self) -> u32 {
        self.started.elapsed().as_secs() as u32
    }
}
