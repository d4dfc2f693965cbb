//! Pushgateways with little memory, and their supervisor.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::chaos::gateways::{held, name};
use crate::http::Client;
use crate::{Pushgateway, poll_until};

/// Number of gateways.
pub(super) const GATEWAYS: usize = 3;
/// Memory of each gateway: a gzip bomb of 200 kB is enough.
const MEMORY: u64 = 256 << 20;
/// Before it ends, a gateway that runs out of memory is slow; after its start, Envoy has to connect.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(2);
/// Between two looks of the supervisor.
const PAUSE: Duration = Duration::from_millis(10);

/// A time in which a gateway may not answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outage {
    pub(super) gateway: usize,
    pub(super) from: Instant,
    /// When it was up again; later than any time while it is not.
    pub(super) until: Option<Instant>,
}

impl Outage {
    pub(super) fn overlaps(&self, from: Instant, until: Instant) -> bool {
        self.from <= until && self.until.is_none_or(|end| end >= from)
    }
}

/// The groups on one gateway.
#[derive(Debug)]
pub(super) struct Content {
    /// The last value of each honest group.
    pub(super) values: BTreeMap<usize, u64>,
    /// The jobs of its groups that have no other label.
    pub(super) jobs: BTreeSet<String>,
}

#[derive(Debug)]
struct Shared {
    running: Mutex<Vec<Pushgateway>>,
    outages: Mutex<Vec<Outage>>,
    stop: AtomicBool,
}

/// Dropping it stops the supervisor and the gateways.
#[derive(Debug)]
pub(super) struct Gateways {
    pub(super) addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    supervisor: Option<JoinHandle<Result<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gateways {
    pub(super) fn start(dir: &Path) -> Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let running = (0..GATEWAYS).map(|index| start(dir, index, any)).collect::<Result<Vec<_>>>()?;
        let addresses = running.iter().map(|gateway| gateway.address).collect();
        let shared = Arc::new(Shared {
            running: Mutex::new(running),
            outages: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let (own, dir) = (Arc::clone(&shared), dir.to_owned());
        let supervisor = thread::spawn(move || own.supervise(&dir));
        Ok(Self { addresses, shared, supervisor: Some(supervisor) })
    }

    /// Returns all outages so far.
    pub(super) fn outages(&self) -> Vec<Outage> {
        lock(&self.shared.outages).clone()
    }

    /// Returns what each gateway stores.
    ///
    /// # Errors
    /// If one does not answer, or its supervisor has failed.
    pub(super) fn contents(&self) -> Result<Vec<Content>> {
        if self.supervisor.as_ref().is_some_and(JoinHandle::is_finished) {
            bail!("a gateway did not start again");
        }
        self.addresses.iter().map(|address| content(*address)).collect()
    }
}

impl Drop for Gateways {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(supervisor) = self.supervisor.take() {
            let _ = supervisor.join();
        }
    }
}

impl Shared {
    fn supervise(&self, dir: &Path) -> Result<()> {
        let mut seen = [Instant::now(); GATEWAYS];
        while !self.stop.load(Ordering::SeqCst) {
            for (gateway, seen) in seen.iter_mut().enumerate() {
                let mut running = lock(&self.running);
                if running[gateway].process.ended().is_none() {
                    *seen = Instant::now();
                    continue;
                }
                let from = seen.checked_sub(BEFORE).unwrap_or(*seen);
                lock(&self.outages).push(Outage { gateway, from, until: None });
                let address = running[gateway].address;
                running[gateway] = poll_until("the gateway's port", || start(dir, gateway, address).ok())?;
                let until = Some(Instant::now() + AFTER);
                lock(&self.outages).iter_mut().filter(|outage| outage.gateway == gateway).for_each(
                    |outage| {
                        outage.until = outage.until.or(until);
                    },
                );
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

/// Starts a gateway that adds its name to its answers.
fn start(dir: &Path, index: usize, address: SocketAddr) -> Result<Pushgateway> {
    let file = dir.join(format!("{}.yml", name(index)));
    let config = format!("http_server_config:\n  headers:\n    Content-Security-Policy: {}\n", name(index));
    fs::write(&file, config)?;
    let config = format!("--web.config.file={}", file.display());
    Pushgateway::start_limited(dir, address, MEMORY, &[&config, "--web.enable-admin-api"])
}

fn content(address: SocketAddr) -> Result<Content> {
    let answer = Client::new(address)?.get("/metrics")?;
    if answer.status != 200 {
        bail!("{address}: {}", answer.status);
    }
    let text = answer.text();
    let job = |line: &str| {
        let job = line.strip_prefix("push_time_seconds{instance=\"\",job=\"")?.split_once("\"}")?.0;
        job.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| job.to_owned())
    };
    let values = held(&text).with_context(|| address.to_string())?.values;
    Ok(Content { values, jobs: text.lines().filter_map(job).collect() })
}
