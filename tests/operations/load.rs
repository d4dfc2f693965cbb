//! Pushes that go on while something happens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use pushring_harness::http::Client;
use pushring_harness::poll_until;

/// Groups of each thread.
const GROUPS: usize = 60;

/// Pushing threads; [`Load::stop`] tells what they saw.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    pushes: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Seen>>,
}

/// What the answers were.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) pushes: usize,
    /// Path and answer of each that was not 200.
    pub(crate) failed: Vec<(String, String)>,
}

impl Load {
    pub(crate) fn start(push: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let pushes = Arc::new(AtomicUsize::new(0));
        let threads = (0..2)
            .map(|thread| {
                let (stop, pushes) = (Arc::clone(&stop), Arc::clone(&pushes));
                thread::spawn(move || keep_pushing(push, thread, &stop, &pushes))
            })
            .collect();
        let load = Self { stop, pushes, threads };
        load.wait_round();
        load
    }

    /// Every group is pushed about once more, so that what changed before is seen by a push.
    fn wait_round(&self) {
        let enough = self.pushes.load(Ordering::Relaxed) + 2 * GROUPS;
        poll_until("the load to push", || (self.pushes.load(Ordering::Relaxed) >= enough).then_some(()))
            .unwrap();
    }

    pub(crate) fn stop(self) -> Seen {
        self.wait_round();
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for thread in self.threads {
            let seen = thread.join().unwrap();
            all.pushes += seen.pushes;
            all.failed.extend(seen.failed);
        }
        all
    }
}

fn keep_pushing(push: SocketAddr, thread: usize, stop: &AtomicBool, pushes: &AtomicUsize) -> Seen {
    let client = Client::new(push).unwrap();
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        let path = format!("/metrics/job/load{thread}/instance/{}", seen.pushes % GROUPS);
        match client.put(&path, "load 1\n") {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => seen.failed.push((path, format!("{} {}", answer.status, answer.text()))),
            Err(error) => seen.failed.push((path, format!("{error:#}"))),
        }
        seen.pushes += 1;
        pushes.fetch_add(1, Ordering::Relaxed);
    }
    seen
}
