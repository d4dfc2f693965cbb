//! The set of known series that all gateways share. It may be away, and it may forget: a series is then written again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use metrics::{counter, histogram};
use pushring_index::Key;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{ConnectionAddr, IntoConnectionInfo, Pipeline, RedisConnectionInfo};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout_at};
use tracing::{info, warn};

use crate::config::{Cache, Config};

/// Longest time of a request.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Time without requests after one that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Most keys that wait to be written; others are written by the next gateway that sees the series.
const WAITING: usize = 200_000;
const PREFIX: &[u8; 3] = b"mi:";

/// The connection to Redis.
pub(crate) struct Redis {
    manager: ConnectionManager,
    marks: mpsc::Sender<Mark>,
    writer: Mutex<Option<JoinHandle<()>>>,
    away: Arc<Away>,
    touch_interval: u32,
}

/// A key to write. The value of a key is the minute, since 1970, at which the catalogue last heard of the series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) id: Key,
    /// The key is there: only its value changes, so that it expires all the same.
    pub(super) is_known: bool,
}

/// The answer of Redis for a series.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shared {
    Unknown,
    Known,
    /// Known, and the catalogue has not heard of it for the touch interval.
    Due,
}

/// Whether Redis failed a moment ago.
#[derive(Default)]
struct Away(Mutex<Option<Instant>>);

impl Redis {
    /// Prepares the connection, which the first request opens.
    ///
    /// # Errors
    /// If the configuration is wrong.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>> {
        let Some(redis) = &config.redis else { return Ok(None) };
        let mut settings = RedisConnectionInfo::default().set_db(redis.db);
        if let Some(password) = redis.password.reveal() {
            settings = settings.set_password(password);
        }
        let address = ConnectionAddr::Tcp(redis.host.clone(), redis.port);
        let info = address.into_connection_info().context("redis")?.set_redis_settings(settings);
        let client = redis::Client::open(info).context("redis")?;
        let limits = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let manager = ConnectionManager::new_lazy_with_config(client, limits).context("redis")?;
        let (marks, waiting) = mpsc::channel(WAITING);
        let away = Arc::new(Away::default());
        let cache = config.metric_store.cache.clone();
        let touch_interval = minutes(cache.touch_interval);
        let writer = Writer { manager: manager.clone(), away: away.clone(), cache };
        let writer = Mutex::new(Some(tokio::spawn(writer.run(waiting))));
        Ok(Some(Self { manager, marks, writer, away, touch_interval }))
    }

    /// Says of each series whether a gateway has made it durable. Nothing is known while Redis is away.
    pub(super) async fn knows(&self, ids: &[Key]) -> Vec<Shared> {
        let unknown = || vec![Shared::Unknown; ids.len()];
        if ids.is_empty() || self.away.is_now() {
            return unknown();
        }
        let began = Instant::now();
        let mut get = redis::cmd("MGET");
        for id in ids {
            get.arg(&name(*id)[..]);
        }
        let found = get.query_async::<Vec<Option<u32>>>(&mut self.manager.clone()).await;
        histogram!("metric_index_redis_seconds", "command" => "MGET").record(began.elapsed());
        let now = now();
        let shared = |minute: &Option<u32>| match minute {
            None => Shared::Unknown,
            Some(minute) if now.saturating_sub(*minute) >= self.touch_interval => Shared::Due,
            Some(_) => Shared::Known,
        };
        match found {
            Ok(found) => {
                self.away.ended();
                found.iter().map(shared).collect()
            }
            Err(error) => {
                self.away.began(&error);
                unknown()
            }
        }
    }

    /// Queues keys of series that are durable.
    pub(super) fn mark(&self, marks: impl Iterator<Item = Mark>) {
        let refused = marks.filter(|mark| self.marks.try_send(*mark).is_err()).count();
        counter!("metric_index_redis_unmarked_total").increment(refused as u64);
    }

    /// Writes what is queued and ends.
    pub(crate) async fn end(self) {
        drop(self.marks);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.await;
        }
    }
}

/// The task that writes keys, many in one request.
struct Writer {
    manager: ConnectionManager,
    away: Arc<Away>,
    cache: Cache,
}

impl Writer {
    async fn run(self, mut waiting: mpsc::Receiver<Mark>) {
        let workers = Arc::new(Semaphore::new(self.cache.worker_num));
        let most = self.cache.flush_lens;
        let interval = Duration::from_secs(self.cache.flush_interval);
        loop {
            let mut marks = Vec::with_capacity(most);
            if waiting.recv_many(&mut marks, most).await == 0 {
                break;
            }
            let end = tokio::time::Instant::now() + interval;
            while marks.len() < most {
                let left = most - marks.len();
                if !matches!(timeout_at(end, waiting.recv_many(&mut marks, left)).await, Ok(1..)) {
                    break;
                }
            }
            let Ok(permit) = workers.clone().acquire_owned().await else { break };
            let (manager, away, pipeline) = (self.manager.clone(), self.away.clone(), self.pipeline(&marks));
            tokio::spawn(async move {
                write(manager, &away, &pipeline, marks.len()).await;
                drop(permit);
            });
        }
        // The last writes.
        let _ = workers.acquire_many(self.cache.worker_num as u32).await;
    }

    fn pipeline(&self, marks: &[Mark]) -> Pipeline {
        let now = now();
        let mut pipeline = Pipeline::with_capacity(marks.len());
        for mark in marks {
            let command = pipeline.cmd("SET").arg(&name(mark.id)[..]).arg(now);
            if mark.is_known {
                command.arg("XX").arg("KEEPTTL");
            } else if self.cache.isexpire {
                let spread = self.cache.dist_interval.min(self.cache.expire.saturating_sub(1));
                command.arg("EX").arg(self.cache.expire - fastrand::u64(0..=spread));
            }
            command.ignore();
        }
        pipeline
    }
}

async fn write(mut manager: ConnectionManager, away: &Away, pipeline: &Pipeline, keys: usize) {
    // A key that is not written costs one more record, so it is tried once more, no longer.
    for pause in [PAUSE, Duration::ZERO] {
        let began = Instant::now();
        let written = pipeline.query_async::<()>(&mut manager).await;
        histogram!("metric_index_redis_seconds", "command" => "SET").record(began.elapsed());
        match written {
            Ok(()) => return away.ended(),
            Err(error) => away.began(&error),
        }
        sleep(pause).await;
    }
    counter!("metric_index_redis_unmarked_total").increment(keys as u64);
}

impl Away {
    fn is_now(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|failed| failed.elapsed() < PAUSE)
    }

    fn began(&self, error: &redis::RedisError) {
        counter!("metric_index_failures_total", "server" => "redis").increment(1);
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        if before.is_none() {
            warn!(error = error.to_string(), "Redis is away: every series counts as unknown");
        }
    }

    fn ended(&self) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            info!("Redis answers again");
        }
    }
}

fn name(id: Key) -> [u8; 19] {
    let mut name = [0; 19];
    let (prefix, key) = name.split_at_mut(PREFIX.len());
    prefix.copy_from_slice(PREFIX);
    key.copy_from_slice(&id.to_bytes());
    name
}

fn minutes(seconds: u64) -> u32 {
    u32::try_from(seconds / 60).unwrap_or(u32::MAX)
}

fn now() -> u32 {
    minutes(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
