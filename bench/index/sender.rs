//! Sends requests and reads the cost of the servers that take them.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pushring_harness::MetricIndex;
use pushring_harness::http::Client;
use pushring_harness::remote_write::{HEADERS_V1, HEADERS_V2};

use crate::requests::{BATCH, Requests, Version};

/// Connections that send at the same time.
const CONNECTIONS: usize = 2;
/// Series on their way into the catalogue at one time: several batches of the writer, but so few that their memory is small.
const UNDER_WAY: usize = 10_000;
/// Longest time without any progress.
const PATIENCE: Duration = Duration::from_secs(120);

/// A sender with one connection.
pub(crate) struct Sender(Client);

impl Sender {
    pub(crate) fn new(server: SocketAddr) -> Result<Self> {
        Ok(Self(Client::new(server)?))
    }

    /// Sends a body, which must be accepted.
    pub(crate) fn send(&self, version: Version, body: &[u8]) -> Result<()> {
        let headers = match version {
            Version::V1 => &HEADERS_V1,
            Version::V2 => &HEADERS_V2,
        };
        let answer = self.0.send("POST", "/api/v1/write", headers, body.to_vec())?;
        ensure!(answer.status / 100 == 2, "a write was answered {}: {}", answer.status, answer.text());
        Ok(())
    }
}

/// Sends all bodies.
pub(crate) fn replay(server: SocketAddr, requests: &Requests) -> Result<()> {
    let send = |connection| {
        let sender = Sender::new(server)?;
        let bodies = requests.bodies.iter().skip(connection).step_by(CONNECTIONS);
        bodies.into_iter().try_for_each(|body| sender.send(requests.version, body))
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..CONNECTIONS).map(|connection| scope.spawn(move || send(connection))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a sender panicked")?)
    })
}

/// Sends bodies, few at a time, and waits until all their series are durable. Returns the number of series.
pub(crate) fn fill(index: &MetricIndex, version: Version, bodies: &[Vec<u8>]) -> Result<usize> {
    let sender = Sender::new(index.address)?;
    let begin = durable(index)?;
    for (number, body) in bodies.iter().enumerate() {
        let sent = number * BATCH;
        wait_for("the catalogue", || Ok(durable(index)? - begin), (sent as f64 - UNDER_WAY as f64).max(0.0))?;
        sender.send(version, body)?;
    }
    let series = bodies.len() * BATCH;
    wait_for("the catalogue", || Ok(durable(index)? - begin), series as f64)?;
    Ok(series)
}

fn durable(index: &MetricIndex) -> Result<f64> {
    index.metric("metric_index_acked_total")
}

/// Polls a number that grows until it reaches `wanted`.
pub(crate) fn wait_for(name: &str, found: impl Fn() -> Result<f64>, wanted: f64) -> Result<()> {
    let (mut last, mut since) = (found()?, Instant::now());
    while last < wanted {
        ensure!(since.elapsed() < PATIENCE, "{name} stays at {last} series; expected {wanted}");
        thread::sleep(Duration::from_millis(20));
        let now = found()?;
        if now > last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(())
}
