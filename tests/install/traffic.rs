//! Clients that push to a service all the time, as jobs in the cluster do: each opens a connection to one of the addresses
//! behind the service, pushes some groups over it, and closes it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pushring_harness::http::Client;
use pushring_harness::kubernetes::NAMESPACE;
use pushring_harness::poll_until;

use super::endpoints;
use super::kubelet::Api;

/// Clients, and groups of each.
const CLIENTS: usize = 2;
const GROUPS: usize = 100;
/// Pushes over one connection.
const SESSION: usize = 20;
/// The servers of a test share a machine.
const PAUSE: Duration = Duration::from_millis(5);

/// Running clients. They end when this is dropped.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Seen>>,
}

/// The answers to all pushes.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) pushes: usize,
    /// Each push that was not answered 200; its group was pushed again later.
    pub(crate) failed: Vec<Failed>,
    /// Each push whose connection failed; the client pushed it again to another address.
    pub(crate) broken: Vec<String>,
    /// The last value of each group that was accepted.
    pub(crate) last: BTreeMap<String, usize>,
}

/// A push that was not answered 200.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) path: String,
    /// Status and text.
    pub(crate) answer: String,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    pushes: AtomicUsize,
    addresses: Mutex<Vec<SocketAddr>>,
}

impl Traffic {
    /// Starts to push to a service and waits until every group was pushed. `api` is the API server by plain HTTP.
    pub(crate) fn start(api: SocketAddr, service: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let (follower, service) = (Arc::clone(&shared), service.to_owned());
        thread::spawn(move || follow(&follower, api, &service));
        poll_until("an address of the service", || shared.addresses.lock().unwrap().first().map(drop))
            .unwrap();
        let start = |client| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.keep_pushing(client))
        };
        let traffic = Self { clients: (0..CLIENTS).map(start).collect(), shared };
        traffic.wait_round();
        traffic
    }

    /// Waits until about every group was pushed again.
    pub(crate) fn wait_round(&self) {
        let enough = self.shared.pushes.load(Ordering::Relaxed) + CLIENTS * GROUPS;
        let pushed = || (self.shared.pushes.load(Ordering::Relaxed) >= enough).then_some(());
        poll_until("the clients to push", pushed).unwrap();
    }

    /// Ends after one more round, and prints the counts with the name of what happened in between.
    pub(crate) fn end(mut self, event: &str) -> Seen {
        self.wait_round();
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in self.clients.drain(..) {
            let seen = client.join().unwrap();
            all.pushes += seen.pushes;
            all.failed.extend(seen.failed);
            all.broken.extend(seen.broken);
            all.last.extend(seen.last);
        }
        let (failed, broken) = (all.failed.len(), all.broken.len());
        println!("{event}: {} pushes, {failed} failed, {broken} pushed again", all.pushes);
        all
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Seen {
    /// Fails if a push was not answered 200 at the first attempt.
    #[track_caller]
    pub(crate) fn assert_all_accepted(self) -> BTreeMap<String, usize> {
        assert!(self.broken.is_empty(), "{} of {}: {:?}", self.broken.len(), self.pushes, self.broken);
        self.assert_none_lost()
    }

    /// Fails if a push was answered by anything but 200.
    #[track_caller]
    pub(crate) fn assert_none_lost(self) -> BTreeMap<String, usize> {
        assert!(self.failed.is_empty(), "{} of {}: {:?}", self.failed.len(), self.pushes, self.failed);
        assert_eq!(self.last.len(), CLIENTS * GROUPS);
        self.last
    }
}

impl Shared {
    fn keep_pushing(&self, client: usize) -> Seen {
        let mut seen = Seen::default();
        let mut next = client;
        while !self.stop.load(Ordering::Relaxed) {
            next += 1;
            let address = {
                let addresses = self.addresses.lock().unwrap();
                addresses[next % addresses.len()]
            };
            self.session(client, address, &mut seen);
        }
        seen
    }

    /// Pushes over one connection until the server wants to close it.
    fn session(&self, client: usize, address: SocketAddr, seen: &mut Seen) {
        let http = Client::new(address).unwrap();
        for _ in 0..SESSION {
            let path = format!("/metrics/job/load{client}/instance/{}", seen.pushes % GROUPS);
            let value = seen.pushes;
            match http.put(&path, format!("load {value}\n")) {
                Err(error) => {
                    seen.broken.push(format!("{error:#}"));
                    // The same push again, elsewhere. A failed connection takes no time.
                    thread::sleep(PAUSE);
                    return;
                }
                Ok(answer) => {
                    if answer.status == 200 {
                        seen.last.insert(path, value);
                    } else {
                        let answer = format!("{} {}", answer.status, answer.text());
                        seen.failed.push(Failed { path, answer });
                    }
                    seen.pushes += 1;
                    self.pushes.fetch_add(1, Ordering::Relaxed);
                    if answer.header("connection") == Some("close") {
                        return;
                    }
                }
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Keeps the addresses up to date. If there is none, the last ones stay, as a client retries.
fn follow(shared: &Shared, api: SocketAddr, service: &str) {
    let api = Api::new(api).unwrap();
    let path = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{service}"
    );
    while !shared.stop.load(Ordering::Relaxed) {
        if let Ok(Some(slices)) = api.get(&path) {
            let found: Vec<SocketAddr> = endpoints::ready(&slices).into_values().collect();
            if !found.is_empty() {
                *shared.addresses.lock().unwrap() = found;
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}
