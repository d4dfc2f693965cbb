//! Reads the fleet for requests. Requests that wait for a reading at the same time share it, but never one that began before
//! they came: after a push, every answer has it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout_at};
use tracing::{info, warn};

use super::fleet_watch::{self, FleetWatch};
use super::gateway_read::{self, Api, Depth};
use super::merge::{self, Reading, Target};
use super::view::FleetView;
use crate::fleet::source::Fleet;
use crate::gateway::client::Gateway;
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::log;

/// Most readings at the same time; the next one waits, and all requests that come until then share it.
const MAX_READINGS: usize = 2;
/// Most requests to one gateway that did not end yet, in readings that did.
const MAX_UNFINISHED: usize = 3;
/// How long a reading waits for a gateway whose last answer failed or did not come: dead gateways cost this at most once
/// the first reading has found them dead.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long clients and credentials are used before their files are read again.
const CLIENTS: Duration = Duration::from_secs(30);
/// Time after the deadline for the merge of what was read.
const MERGING: Duration = Duration::from_secs(5);

pub(super) struct Reader {
    fleet: FleetWatch,
    args: GatewayArgs,
    pub(super) deadline: Duration,
    clients: Mutex<Clients>,
    /// Readings that have not begun, for each depth.
    waiting: [Mutex<Option<Waiting>>; 2],
    running: Semaphore,
    concurrent: Arc<Semaphore>,
    records: Mutex<HashMap<String, Record>>,
    /// Whether the last reading needed the APIs.
    needs_api: AtomicBool,
    ready: AtomicBool,
}

struct Clients {
    fleet: Arc<Fleet>,
    made: Instant,
    gateways: Arc<Gateways>,
}

/// A reading that has not begun.
struct Waiting {
    deadline: Instant,
    done: watch::Receiver<Option<Arc<FleetView>>>,
}

/// How a gateway answered until now.
#[derive(Default)]
struct Record {
    running: usize,
    failed: bool,
    /// Why it could not be read, as last logged.
    error: Option<String>,
}

impl Reader {
    /// Makes the clients, so that an unusable flag or file is an error at the start.
    ///
    /// # Errors
    /// As [`Gateways::new`].
    pub(super) fn new(fleet: FleetWatch, args: GatewayArgs, deadline: Duration) -> anyhow::Result<Self> {
        let (members, _) = fleet.read();
        let gateways = Arc::new(Gateways::new(&args, &members)?);
        let concurrent = Arc::new(Semaphore::new(args.gateway_concurrency as usize));
        Ok(Self {
            fleet,
            args,
            deadline,
            clients: Mutex::new(Clients { fleet: members, made: Instant::now(), gateways }),
            waiting: Default::default(),
            running: Semaphore::new(MAX_READINGS),
            concurrent,
            records: Mutex::default(),
            needs_api: AtomicBool::new(false),
            ready: AtomicBool::new(false),
        })
    }

    /// Follows the members between requests, so that the history has every ring.
    pub(super) async fn follow(self: Arc<Self>) {
        loop {
            let reader = self.clone();
            let _ = spawn_blocking(move || drop(reader.fleet.read())).await;
            sleep(fleet_watch::INTERVAL).await;
        }
    }

    /// Returns the members as they are now, or as they last were if they cannot be read.
    pub(super) fn fleet(&self) -> Arc<Fleet> {
        self.fleet.read().0
    }

    /// Returns whether a reading reached at least one gateway, and the members can be read now.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && self.fleet.read().1.is_none()
    }

    /// Returns a reading that began after this call. `None`: it did not end in time.
    pub(super) async fn view(self: &Arc<Self>, depth: Depth, time: Duration) -> Option<Arc<FleetView>> {
        let deadline = Instant::now() + time.min(self.deadline);
        let mut done = self.join(depth, deadline);
        let view = timeout_at((deadline + MERGING).into(), done.wait_for(Option::is_some)).await;
        view.ok()?.ok()?.clone()
    }

    fn join(self: &Arc<Self>, depth: Depth, deadline: Instant) -> watch::Receiver<Option<Arc<FleetView>>> {
        let mut waiting = lock(&self.waiting[depth as usize]);
        if let Some(waiting) = &mut *waiting {
            waiting.deadline = waiting.deadline.min(deadline);
            return waiting.done.clone();
        }
        let (sender, done) = watch::channel(None);
        *waiting = Some(Waiting { deadline, done: done.clone() });
        let reader = self.clone();
        tokio::spawn(async move {
            let permit = reader.running.acquire().await;
            let begins = lock(&reader.waiting[depth as usize]).take();
            let deadline = begins.map_or(deadline, |waiting| waiting.deadline);
            // A reading that waited too long would find every gateway silent.
            let view = if Instant::now() < deadline { reader.read(depth, deadline).await } else { None };
            drop(permit);
            sender.send_replace(view.map(Arc::new));
        });
        done
    }

    /// Returns the members as they are now, and all gateways.
    ///
    /// # Errors
    /// The members cannot be read, so that some may be missing.
    pub(super) async fn members(self: &Arc<Self>) -> Result<(Arc<Fleet>, Vec<Target>), String> {
        let reader = self.clone();
        let read = spawn_blocking(move || {
            let (fleet, error) = reader.fleet.read();
            let targets = reader.targets(&fleet);
            error.map_or(Ok((fleet, targets)), Err)
        });
        read.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn read(self: &Arc<Self>, depth: Depth, deadline: Instant) -> Option<FleetView> {
        let (began, read_at) = (Instant::now(), Timestamp::now());
        let reader = self.clone();
        let (fleet, fleet_error, all) = spawn_blocking(move || {
            let (fleet, error) = reader.fleet.read();
            let all = reader.targets(&fleet);
            (fleet, error, all)
        })
        .await
        .ok()?;
        let expected = self.needs_api.load(Ordering::Relaxed);
        let api = match depth {
            Depth::Full => Api::Everything,
            Depth::Values if expected => Api::Times,
            Depth::Values => Api::Nothing,
        };
        let mut reads =
            self.each(&all, deadline, move |gateway, time| gateway_read::read(gateway, api, time)).await;
        let needed = merge::needs_api(&fleet, &reads);
        self.needs_api.store(needed, Ordering::Relaxed);
        if needed && api == Api::Nothing {
            let lists = self.each(&all, deadline, |gateway, time| {
                gateway_read::list(gateway, Api::Times, time).context("not asked")?
            });
            for (read, listed) in reads.iter_mut().zip(lists.await) {
                if let Ok(read) = read {
                    read.listed.get_or_insert(listed);
                }
            }
        }
        for (target, read) in all.iter().zip(&reads) {
            self.log(target, read.as_ref().err().cloned());
        }
        if reads.iter().any(Result::is_ok) {
            self.ready.store(true, Ordering::Relaxed);
        }
        let gateways = all.into_iter().zip(reads).collect();
        let reader = self.clone();
        let merged = spawn_blocking(move || {
            let reading = Reading { fleet, fleet_error, read_at, gateways };
            merge::view(reading, &reader.fleet.history(), began.elapsed())
        });
        merged.await.ok()
    }

    /// Logs that a gateway cannot be read, or can be read again.
    fn log(&self, target: &Target, error: Option<String>) {
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

    fn targets(&self, fleet: &Arc<Fleet>) -> Vec<Target> {
        let gateways = self.clients(fleet);
        let on_ring = fleet.router.config().members.iter().map(|member| (true, member));
        let all = on_ring.chain(fleet.registered.iter().map(|member| (false, member)));
        all.map(|(on_ring, member)| Target {
            gateway: gateways.gateway(&member.name, &member.address),
            on_ring,
        })
        .collect()
    }

    /// Makes the clients of another fleet, and from time to time again, because passwords, certificates and CA certificates
    /// may have been replaced. If their files cannot be read now, the last ones stay.
    fn clients(&self, fleet: &Arc<Fleet>) -> Arc<Gateways> {
        let mut clients = lock(&self.clients);
        if !Arc::ptr_eq(&clients.fleet, fleet) || clients.made.elapsed() > CLIENTS {
            match Gateways::new(&self.args, fleet) {
                Ok(gateways) => clients.gateways = Arc::new(gateways),
                Err(error) => warn!(error = format!("{error:#}"), "the last access to the gateways stays"),
            }
            (clients.fleet, clients.made) = (fleet.clone(), Instant::now());
        }
        clients.gateways.clone()
    }

    /// Applies `f` to all gateways at the same time, each with the time that is left. A gateway that failed before gets less
    /// of the reading's time, but its answer counts whenever it comes, for the next reading.
    async fn each<R: Send + 'static>(
        self: &Arc<Self>,
        all: &[Target],
        deadline: Instant,
        f: impl Fn(&Gateway, Duration) -> anyhow::Result<R> + Copy + Send + 'static,
    ) -> Vec<Result<R, String>> {
        let silent = || Err("no answer in time (--deadline)".to_owned());
        let mut results: Vec<Option<Result<R, String>>> = all.iter().map(|_| None).collect();
        let mut tasks = JoinSet::new();
        let mut awaited = 0;
        for (index, target) in all.iter().enumerate() {
            let Some((attempt, failed)) = self.begin(target) else { continue };
            awaited += usize::from(!failed);
            let gateway = target.gateway.clone();
            let job = move || {
                let result = f(&gateway, deadline.saturating_duration_since(Instant::now()));
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
        for (target, result) in all.iter().zip(&results) {
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
        Some((Attempt { reader: self.clone(), target: target.clone() }, failed))
    }

    fn record<T>(&self, target: &Target, change: impl FnOnce(&mut Record) -> T) -> T {
        let mut records = lock(&self.records);
        change(records.entry(target.gateway.address().to_owned()).or_default())
    }
}

/// A request to a gateway that has not ended.
struct Attempt {
    reader: Arc<Reader>,
    target: Target,
}

impl Attempt {
    fn end(&self, failed: bool) {
        self.reader.record(&self.target, |record| record.failed = failed);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.reader.record(&self.target, |record| record.running -= 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
