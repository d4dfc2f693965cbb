//! Watches the ring and pushes through Envoy while a test disturbs the source of the members.

use std::collections::BTreeMap;
use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pushring::fleet::ring_file::RingFile;

use crate::http::Client;
use crate::load::{Load, paths};
use crate::{Envoy, Process, Pushgateway};

/// Clients that push.
const CLIENTS: usize = 2;
/// Pause between two pushes of a client: the servers of several tests share a machine.
const PAUSE: Duration = Duration::from_millis(2);

/// Lines that `discover` may log in one outage, however long it is.
const MOST_LINES: usize = 8;
/// The part of an outage for which `discover` may compute: it asks every second or two whether the source is back.
const LEAST_IDLE: u32 = 20;

/// A running watch. It ends when it is dropped.
#[derive(Debug)]
pub struct Witness {
    push: SocketAddr,
    load: Load,
    owners: BTreeMap<String, String>,
    done: Done,
    rings: JoinHandle<Vec<Vec<String>>>,
}

/// Ends the thread that reads the rings when it is dropped.
#[derive(Debug, Default)]
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Witness {
    /// Asks Envoy for the owner of each group, and starts to push and to read the ring in the live folder.
    ///
    /// # Panics
    /// If Envoy or a gateway does not answer.
    #[must_use]
    pub fn start(envoy: &Envoy, live: &Path) -> Self {
        let (owners, done) = (owners(envoy.push), Done::default());
        let (ring, stop) = (live.join("ring.yaml"), Arc::clone(&done.0));
        let rings = thread::spawn(move || watch(&ring, &stop));
        let load = Load::paced(envoy.push, CLIENTS, PAUSE);
        Self { push: envoy.push, load, owners, done, rings }
    }

    /// Ends it after one more round of pushes, and returns the sorted names of each ring that was live, in order.
    ///
    /// # Panics
    /// If a push was not answered 200.
    #[track_caller]
    pub fn end(self) -> Vec<Vec<String>> {
        self.load.stop().assert_none_failed();
        drop(self.done);
        self.rings.join().unwrap()
    }

    /// Ends it as [`Witness::end`], and fails unless no group has another owner than at the start, and none had in between.
    ///
    /// # Panics
    /// As [`Witness::end`], or if a group moved.
    #[track_caller]
    pub fn end_unmoved(self) {
        let (push, before) = (self.push, self.owners.clone());
        let rings = self.end();
        assert_eq!(rings.len(), 1, "the ring changed: {rings:?}");
        assert_eq!(owners(push), before);
    }
}

/// Returns the different rings, one after another.
fn watch(ring: &Path, done: &AtomicBool) -> Vec<Vec<String>> {
    let mut rings: Vec<Vec<String>> = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let config = RingFile::read(ring).unwrap().config;
        let mut names: Vec<String> = config.members.into_iter().map(|member| member.name).collect();
        names.sort_unstable();
        if rings.last() != Some(&names) {
            rings.push(names);
        }
        thread::sleep(PAUSE);
    }
    rings
}

/// Returns the name of the owner of each group of a load of two clients, as Envoy answers it.
///
/// # Panics
/// If it does not answer.
#[must_use]
pub fn owners(push: SocketAddr) -> BTreeMap<String, String> {
    let client = Client::new(push).unwrap();
    let owner = |path: String| {
        let answer = client.send("GET", &path, &[("accept", "application/json")], "").unwrap();
        let owner = answer.json().unwrap()["owner"]["name"].as_str().unwrap().to_owned();
        (path, owner)
    };
    (0..CLIENTS).flat_map(paths).map(owner).collect()
}

/// Fails if two gateways store a group of the same labels: no push went anywhere but to one owner.
///
/// # Panics
/// Then, and if a gateway does not answer.
#[track_caller]
pub fn assert_each_group_once<'a>(gateways: impl IntoIterator<Item = &'a Pushgateway>) {
    let mut holders: BTreeMap<_, Vec<SocketAddr>> = BTreeMap::new();
    for gateway in gateways {
        for group in gateway.groups().unwrap() {
            holders.entry(group).or_default().push(gateway.address);
        }
    }
    let groups = CLIENTS * paths(0).count();
    assert_eq!(holders.len(), groups);
    holders.retain(|_, at| at.len() > 1);
    assert!(holders.is_empty(), "{holders:?}");
}

/// Waits while a source is away: five seconds, or as many as `OUTAGE_SECONDS` says, which `make outage` sets.
///
/// # Panics
/// If `discover` logs or computes more than an idle process does.
#[track_caller]
pub fn sit_out(source: &str, discover: &Process) {
    let seconds = env::var("OUTAGE_SECONDS").map_or(5, |text| text.parse().expect("OUTAGE_SECONDS"));
    let outage = Duration::from_secs(seconds);
    let (lines, computed) = (discover.log().lines().count(), discover.cpu_time().unwrap());
    thread::sleep(outage);
    let (lines, computed) = (discover.log().lines().count() - lines, discover.cpu_time().unwrap() - computed);
    println!("{source} is away for {seconds} s: {computed:?} of CPU time, {lines} lines in the log");
    assert!(lines <= MOST_LINES, "{}", discover.log());
    assert!(computed < outage / LEAST_IDLE, "{computed:?}");
}
