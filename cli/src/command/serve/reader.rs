//! Reads the fleet for requests. Requests that wait for a reading at the same time share it, but never one that began before
//! they came: after a push, every answer has it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout_at};

use super::clients::Clients;
use super::fleet_watch::{self, FleetWatch};
use super::gateway_read::{self, Api, Contents, Depth, GatewayRead};
use super::merge;
use super::reading::{self, Reading, Target};
use super::requests::Requests;
use super::view::FleetView;
use crate::fleet::source::Fleet;
use crate::gateway::client::Gateway;
use crate::gateway::pool::GatewayArgs;

/// Most readings at the same time; the next one waits, and all requests that come until then share it.
const MAX_READINGS: usize = 2;
/// Time after the deadline for the merge of what was read.
const MERGING: Duration = Duration::from_secs(5);

pub(super) struct Reader {
    fleet: FleetWatch,
    pub(super) deadline: Duration,
    clients: Clients,
    requests: Arc<Requests>,
    /// Readings that have not begun, for each depth.
    waiting: [Mutex<Option<Waiting>>; 2],
    running: Semaphore,
    /// Whether the last reading needed the APIs.
    needs_api: AtomicBool,
    ready: AtomicBool,
}

/// A reading that has not begun.
struct Waiting {
    deadline: Instant,
    done: watch::Receiver<Option<Arc<FleetView>>>,
}

impl Reader {
    /// Makes the clients, so that an unusable flag or file is an error at the start.
    ///
    /// # Errors
    /// As [`Gateways::new`].
    pub(super) fn new(fleet: FleetWatch, args: GatewayArgs, deadline: Duration) -> anyhow::Result<Self> {
        let (members, _) = fleet.read();
        let requests = Arc::new(Requests::new(args.gateway_concurrency as usize));
        Ok(Self {
            fleet,
            deadline,
            clients: Clients::new(args, members)?,
            requests,
            waiting: Default::default(),
            running: Semaphore::new(MAX_READINGS),
            needs_api: AtomicBool::new(false),
            ready: AtomicBool::new(false),
        })
    }

    /// Follows the members between requests, so that every ring is known.
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
            let targets = reader.clients.targets(&fleet);
            error.map_or(Ok((fleet, targets)), Err)
        });
        read.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn read(self: &Arc<Self>, depth: Depth, deadline: Instant) -> Option<FleetView> {
        let (began, read_at) = (Instant::now(), Timestamp::now());
        let reader = self.clone();
        let (fleet, fleet_error, all) = spawn_blocking(move || {
            let (fleet, error) = reader.fleet.read();
            let all = reader.clients.targets(&fleet);
            (fleet, error, all)
        })
        .await
        .ok()?;
        let expected = self.needs_api.load(Ordering::Relaxed);
        let api = match depth {
            Depth::Full => Some(Api::Everything),
            Depth::Values => expected.then_some(Api::Times),
        };
        let read = |_| move |gateway: &Gateway, time| gateway_read::read(gateway, api, time);
        let mut reads = self.requests.each(&all, deadline, read).await;
        let needed = reading::needs_api(&fleet, &reads);
        self.needs_api.store(needed, Ordering::Relaxed);
        if needed {
            self.list(&all, &mut reads, deadline).await;
        }
        for (target, read) in all.iter().zip(&mut reads) {
            self.requests.log(target, read.as_ref().err().cloned());
            if let Ok(read) = read {
                self.requests.narrow_clock(target, &mut read.status);
            }
        }
        if reads.iter().any(Result::is_ok) {
            self.ready.store(true, Ordering::Relaxed);
        }
        let gateways = all.into_iter().zip(reads).collect();
        let reader = self.clone();
        let merged = spawn_blocking(move || {
            let reading = Reading { fleet, fleet_error, read_at, gateways };
            merge::view(reading, &reader.fleet.past(), began.elapsed())
        });
        merged.await.ok()
    }

    /// Reads gateways again of which only the metrics were read: the API has to be read first.
    async fn list(&self, all: &[Target], reads: &mut [Result<GatewayRead, String>], deadline: Instant) {
        let is_exposed = |read: &&mut Result<GatewayRead, String>| {
            read.as_ref().is_ok_and(|read| matches!(read.contents, Contents::Exposed(_)))
        };
        let (targets, exposed): (Vec<Target>, Vec<_>) =
            all.iter().cloned().zip(reads.iter_mut()).filter(|(_, read)| is_exposed(read)).unzip();
        let read = |_| |gateway: &Gateway, time| gateway_read::read(gateway, Some(Api::Times), time);
        let again = self.requests.each(&targets, deadline, read).await;
        for (read, again) in exposed.into_iter().zip(again) {
            if again.is_ok() {
                *read = again;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
