//! Continuous pushes during a change.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::http::Client;
use crate::poll_until;

/// Groups of each client.
const GROUPS: usize = 60;

/// Clients that push all the time, each to its own groups over one connection; they stop when it is dropped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    pushes: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Seen>>,
}

/// The answers to all pushes.
#[derive(Debug, Default)]
pub struct Seen {
    /// Number of pushes.
    pub pushes: usize,
    /// Path and answer of each push that was not answered 200.
    pub failed: Vec<(String, String)>,
}

impl Load {
    /// Starts the clients and waits until they have pushed every group.
    #[must_use]
    pub fn start(push: SocketAddr, clients: usize) -> Self {
        Self::paced(push, clients, Duration::ZERO)
    }

    /// As [`Load::start`], with a pause after each push of a client.
    #[must_use]
    pub fn paced(push: SocketAddr, clients: usize, pause: Duration) -> Self {
        let (stop, pushes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let start = |client| {
            let (stop, pushes) = (Arc::clone(&stop), Arc::clone(&pushes));
            thread::spawn(move || keep_pushing(push, client, pause, &stop, &pushes))
        };
        let clients = (0..clients).map(start).collect();
        let load = Self { stop, pushes, clients };
        load.wait_round();
        load
    }

    /// Waits until about every group was pushed again, so that a push has seen what changed before.
    fn wait_round(&self) {
        let enough = self.pushes.load(Ordering::Relaxed) + self.clients.len() * GROUPS;
        let pushed = || (self.pushes.load(Ordering::Relaxed) >= enough).then_some(());
        poll_until("the load to push", pushed).unwrap();
    }

    /// Ends after one more round and returns what the clients saw.
    #[must_use]
    pub fn stop(mut self) -> Seen {
        self.wait_round();
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in mem::take(&mut self.clients) {
            let seen = client.join().unwrap();
            all.pushes += seen.pushes;
            all.failed.extend(seen.failed);
        }
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Seen {
    /// Fails unless all pushes were answered 200.
    #[track_caller]
    pub fn assert_none_failed(&self) {
        assert!(self.failed.is_empty(), "{} of {}: {:?}", self.failed.len(), self.pushes, self.failed);
    }
}

/// Returns the paths of the groups of a client.
pub(crate) fn paths(client: usize) -> impl Iterator<Item = String> {
    (0..GROUPS).map(move |group| path(client, group))
}

fn path(client: usize, group: usize) -> String {
    format!("/metrics/job/load{client}/instance/{group}")
}

fn keep_pushing(
    push: SocketAddr,
    client: usize,
    pause: Duration,
    stop: &AtomicBool,
    pushes: &AtomicUsize,
) -> Seen {
    let http = Client::new(push).unwrap();
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        let path = path(client, seen.pushes % GROUPS);
        match http.post(&path, "load 1\n") {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => seen.failed.push((path, format!("{} {}", answer.status, answer.text()))),
            Err(error) => seen.failed.push((path, format!("{error:#}"))),
        }
        seen.pushes += 1;
        pushes.fetch_add(1, Ordering::Relaxed);
        thread::sleep(pause);
    }
    seen
}
