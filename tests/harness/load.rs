//! Pushes that go on while something happens, none of which may fail.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, anyhow, ensure};

use crate::http::Client;

/// How often each of so many clients pushed while `change` output, each over a connection that it keeps.
///
/// # Errors
/// When any push had another answer than 200, once `change` is done.
pub fn while_pushing(push: SocketAddr, clients: usize, change: impl FnOnce()) -> Result<Vec<usize>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopper = Stopper(&stop);
        let loads: Vec<_> =
            (0..clients).map(|load| scope.spawn(move || keep_pushing(push, load, stopper.0))).collect();
        change();
        drop(stopper);
        let ended = loads.into_iter().map(|load| load.join().map_err(|_| anyhow!("a client panicked"))?);
        ended.collect()
    })
}

/// Ends the load when dropped, by a panic too: the scope waits for its threads.
struct Stopper<'s>(&'s AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn keep_pushing(push: SocketAddr, load: usize, stop: &AtomicBool) -> Result<usize> {
    let client = Client::new(push)?;
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let path = format!("/metrics/job/load{load}/instance/i{}", count % 50);
        let answer = client.post(&path, "x 1\n")?;
        ensure!(answer.status == 200, "push {count} of {path}: {} {}", answer.status, answer.text());
        count += 1;
    }
    Ok(count)
}
