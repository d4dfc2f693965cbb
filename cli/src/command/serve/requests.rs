//! Requests to all gateways at the same time, with little patience for those that failed before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout_at;
use tracing::{info, warn};

use super::reading::Target;
use crate::gateway::client::{Gateway, Status};
use crate::gateway::clock::Clock;
use crate::log;

/// Most requests to one gateway that did not end yet, in readings that did.
const MAX_UNFINISHED: usize = 3;
/// How long a reading waits for a gateway whose last answer failed or did not come: dead gateways cost this at most once
/// the first reading has found them dead.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Requests {
    concurrent: Arc<Semaphore>,
    /// By address.
    records: Mutex<HashMap<String, Record>>,
}

/// How a gateway answered until now.
#[derive(Default)]
struct Record {
    running: usize,
    failed: bool,
    /// Why it could not be read, as last logged.
    error: Option<String>,
    /// Its process, its clock by all answers until then, and that time.
    clock: Option<(String, Clock, Timestamp)>,
}

impl Record {
    fn narrow(&mut self, status: &mut Status) {
        let now = Timestamp::now();
        if let Some((process, clock, then)) = &self.clock
            && *process == status.start_time
        {
            status.clock = status.clock.narrowed(clock, now.duration_since(*then));
        }
        self.clock = Some((status.start_time.clone(), status.clock, now));
    }
}

impl Requests {
    /// `concurrent` is `--gateway-concurrency`.
    pub(super) fn new(concurrent: usize) -> Self {
        Self { concurrent: Arc::new(Semaphore::new(concurrent)), records: Mutex::default() }
    }

    /// Logs that a gateway cannot be read, or can be read again.
    pub(super) fn log(&self, target: &Target, error: Option<String>) {
        let gateway = target.gateway.name();
        self.record(target, |record| {
            if log::is_news(&mut record.error, error) {
                match &record.error {
                    Some(error) => warn!(gateway, error, "a gateway cannot be read"),
                    None => info!(gateway, "a gateway can be read again"),
                }
            }
        });
    }

    /// Makes the clock of an answer more precise by those of earlier answers.
    pub(super) fn narrow_clock(&self, target: &Target, status: &mut Status) {
        self.record(target, |record| record.narrow(status));
    }

    /// Runs a job for each gateway (`job` gets its index), with the time that is left. A gateway that failed before gets less
    /// of the reading's time, but its answer counts whenever it comes, for the next reading.
    pub(super) async fn each<R, J>(
        self: &Arc<Self>,
        targets: &[Target],
        deadline: Instant,
        job: impl Fn(usize) -> J,
    ) -> Vec<Result<R, String>>
    where
        R: Send + 'static,
        J: FnOnce(&Gateway, Duration) -> anyhow::Result<R> + Send + 'static,
    {
        let silent = || Err("no answer in time (--deadline)".to_owned());
        let mut results: Vec<Option<Result<R, String>>> = targets.iter().map(|_| None).collect();
        let mut tasks = JoinSet::new();
        let mut awaited = 0;
        for (index, target) in targets.iter().enumerate() {
            let Some((attempt, failed)) = self.begin(target) else { continue };
            awaited += usize::from(!failed);
            let (job, gateway) = (job(index), target.gateway.clone());
            let job = move || {
                let result = job(&gateway, deadline.saturating_duration_since(Instant::now()));
                attempt.end(result.is_err());
                result.map_err(|error| format!("{error:#}"))
            };
            let free = self.concurrent.clone();
            tasks.spawn(async move {
                let _permit = if failed { None } else { free.acquire_owned().await.ok() };
                (index, failed, spawn_blocking(job).await)
            });
        }
        let patience = Instant::now() + PATIENCE;
        loop {
            let until = if awaited == 0 { deadline.min(patience) } else { deadline };
            let Ok(Some(ended)) = timeout_at(until.into(), tasks.join_next()).await else { break };
            let Ok((index, failed, result)) = ended else { continue };
            awaited -= usize::from(!failed);
            results[index] = Some(result.unwrap_or_else(|error| Err(format!("the reading failed: {error}"))));
        }
        // Tasks that wait for a permit end here. Requests that were sent continue: if an answer comes, the gateway is trusted again.
        for (target, result) in targets.iter().zip(&results) {
            if result.is_none() {
                self.record(target, |record| record.failed = true);
            }
        }
        results.into_iter().map(|result| result.unwrap_or_else(silent)).collect()
    }

    /// Begins a request, and returns whether the last one failed. `None`: too many did not end yet.
    fn begin(self: &Arc<Self>, target: &Target) -> Option<(Attempt, bool)> {
        let failed = self.record(target, |record| {
            let free = record.running < MAX_UNFINISHED;
            record.running += usize::from(free);
            free.then_some(record.failed)
        })?;
        Some((Attempt { requests: self.clone(), target: target.clone() }, failed))
    }

    fn record<T>(&self, target: &Target, change: impl FnOnce(&mut Record) -> T) -> T {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        change(records.entry(target.gateway.address().to_owned()).or_default())
    }
}

/// A request to a gateway that has not ended.
struct Attempt {
    requests: Arc<Requests>,
    target: Target,
}

impl Attempt {
    fn end(&self, failed: bool) {
        self.requests.record(&self.target, |record| record.failed = failed);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.requests.record(&self.target, |record| record.running -= 1);
    }
}
