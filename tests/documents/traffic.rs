//! Clients that push all the time while a document is executed, and follow redirects.

use std::collections::HashMap;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pushring_harness::http::Client;
use pushring_harness::poll_until;

/// Groups of each client. No two clients push to one group, so its values arrive in order.
const GROUPS_EACH: usize = 20;
const CLIENTS: usize = 2;
/// Number of groups of all clients.
pub(crate) const GROUPS: usize = CLIENTS * GROUPS_EACH;

/// Running clients. They stop when it is dropped.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Pushed>>,
}

struct Shared {
    server: Mutex<SocketAddr>,
    stop: AtomicBool,
    pushes: AtomicUsize,
}

/// The result of all pushes.
#[derive(Default)]
pub(crate) struct Pushed {
    /// The value that was stored last, by path.
    pub(crate) values: HashMap<String, u64>,
    /// Pushes that no gateway answered 200.
    pub(crate) lost: Vec<String>,
    pub(crate) pushes: usize,
}

impl Traffic {
    /// Starts clients that push to `server`, and waits until each of them has pushed all of its groups.
    pub(crate) fn start(server: &str) -> Self {
        let server = Mutex::new(server.parse().unwrap());
        let shared = Arc::new(Shared { server, stop: AtomicBool::new(false), pushes: AtomicUsize::new(0) });
        let client = |index| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || push_until_stopped(index, &shared))
        };
        let clients = (0..CLIENTS).map(client).collect();
        let traffic = Self { shared, clients };
        traffic.round();
        traffic
    }

    /// Points the clients at another server, and waits until they have pushed every group there.
    pub(crate) fn move_to(&self, server: &str) {
        *self.shared.server.lock().unwrap() = server.parse().unwrap();
        self.round();
    }

    /// Waits until every group was pushed again.
    pub(crate) fn round(&self) {
        // Each client alternates with the others at its own speed: two rounds of all contain one of each.
        let enough = self.shared.pushes.load(Ordering::Relaxed) + 2 * GROUPS;
        let pushed = || (self.shared.pushes.load(Ordering::Relaxed) >= enough).then_some(());
        poll_until("the clients to push", pushed).unwrap();
    }

    /// Waits until every group was pushed again and its older copies are certainly older: a sweep regards pushes within
    /// two seconds as simultaneous.
    pub(crate) fn outdate(&self) {
        let now = Instant::now();
        poll_until("the clock", || (now.elapsed() > Duration::from_secs(3)).then_some(())).unwrap();
        self.round();
    }

    /// Ends the clients.
    pub(crate) fn stop(mut self) -> Pushed {
        self.round();
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Pushed::default();
        for client in mem::take(&mut self.clients) {
            let pushed = client.join().unwrap();
            all.values.extend(pushed.values);
            all.lost.extend(pushed.lost);
            all.pushes += pushed.pushes;
        }
        all
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn push_until_stopped(client: usize, shared: &Shared) -> Pushed {
    let mut connections = HashMap::new();
    let mut pushed = Pushed::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let path = format!("/metrics/job/traffic/instance/{client}-{}", pushed.pushes % GROUPS_EACH);
        let server = *shared.server.lock().unwrap();
        let value = pushed.pushes as u64;
        match push(&mut connections, server, &path, value) {
            Ok(()) => drop(pushed.values.insert(path, value)),
            Err(error) => pushed.lost.push(format!("{path}: {error:#}")),
        }
        pushed.pushes += 1;
        shared.pushes.fetch_add(1, Ordering::Relaxed);
    }
    pushed
}

fn push(
    connections: &mut HashMap<SocketAddr, Client>,
    server: SocketAddr,
    path: &str,
    value: u64,
) -> Result<()> {
    let mut server = server;
    for _ in 0..2 {
        let client = match connections.remove(&server) {
            Some(client) => client,
            None => Client::new(server)?,
        };
        let answer = client.put(path, format!("traffic {value}\n"))?;
        connections.insert(server, client);
        match answer.status {
            200 => return Ok(()),
            307 => {
                let location = answer.header("location").context("a redirect without a location")?;
                let rest = location.strip_prefix("http://").context("no http URL")?;
                let (host, rest) = rest.split_once('/').context("no path")?;
                anyhow::ensure!(path == format!("/{rest}"), "redirected to {location}");
                server = host.parse()?;
            }
            status => bail!("{status} {}", answer.text()),
        }
    }
    bail!("redirected twice")
}
