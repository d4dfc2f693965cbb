//! Clients that push as jobs do: many groups, steadily, through both Envoys.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pushring_harness::http::Client;

/// Where the Envoys accept pushes.
pub(crate) const ENVOYS: [&str; 2] = ["10.0.1.1:9091", "10.0.1.2:9091"];
/// Groups of the load.
pub(crate) const GROUPS: usize = 40;
/// Pause between two pushes of a client.
const PAUSE: Duration = Duration::from_millis(100);

/// Calls a function again and again in a thread, until it is dropped.
pub(crate) struct Repeat(Arc<AtomicBool>);

impl Repeat {
    pub(crate) fn start(pause: Duration, mut call: impl FnMut(usize) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            for round in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                call(round);
                thread::sleep(pause);
            }
        });
        Self(stop)
    }
}

impl Drop for Repeat {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The steady load.
pub(crate) struct Load {
    _clients: Vec<Repeat>,
}

impl Load {
    pub(crate) fn start() -> Self {
        let client = |envoy: &'static str| {
            Repeat::start(PAUSE, move |round| {
                // An Envoy or a gateway that is down is what the alerts are about.
                let _ = post(envoy, &format!("/metrics/job/load/instance/{}", round % GROUPS), "load 1\n");
            })
        };
        Self { _clients: ENVOYS.into_iter().map(client).collect() }
    }
}

/// Pushes once over a new connection; returns the status.
pub(crate) fn post(address: &str, path: &str, body: &str) -> anyhow::Result<u16> {
    Ok(Client::new(address.parse()?)?.post(path, body.to_owned())?.status)
}
