//! Reloads of the ring: their CPU time, and the latency of pushes around them.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pushring_harness::{Member, Mode, poll_until};

use crate::load::{self, Gateways, Pace};
use crate::measure::{self, PACE, checked, pushes};
use crate::proxy::{Proxy, RouteBy, ring};

/// The filter answers this path if `health` is on, without the ring.
const HEALTHY: &str = "/-/healthy";
/// Envoy's count of configurations that are active on all workers.
const RELOADS: &str = "extension_config_discovery.http_filter.pushring.config_reload";

/// Milliseconds of CPU time for one reload.
pub(crate) struct Reload {
    pub(crate) worker_ms: f64,
    /// The same for all threads: Envoy configures a validation VM, its main thread and each worker.
    pub(crate) all_ms: f64,
}

/// Reloads the ring of one Envoy in cluster mode. With each reload one member leaves and another one joins.
pub(crate) struct Reloader<'p> {
    proxy: &'p Proxy,
    /// The members of the ring and the one that has left.
    addresses: Vec<SocketAddr>,
    number: usize,
}

impl<'p> Reloader<'p> {
    /// Prepares reloads of a ring of `members` members; `gateways` must have one more, for all of which Envoy gets a
    /// cluster.
    pub(crate) fn new(proxy: &'p Proxy, gateways: &Gateways, members: usize) -> Result<Self> {
        let addresses = gateways.addresses()?.get(..=members).context("too few gateways")?.to_vec();
        let (envoy, layout) = proxy.envoy()?;
        let clusters: Vec<Member> = addresses.iter().copied().map(Member::from).collect();
        layout.write_upstreams(&clusters)?;
        let names: Vec<&str> = clusters.iter().map(|member| member.address.as_str()).collect();
        envoy.wait_upstreams(&names)?;
        Ok(Self { proxy, addresses, number: 0 })
    }

    /// Returns the next configuration, and the `health` by which its activation can be observed.
    fn next_ring(&mut self) -> Result<(String, bool)> {
        let health = self.number % 2 == 1;
        let mut members = self.addresses.clone();
        members.swap_remove(self.number % 2);
        self.number += 1;
        let mut config = ring(Mode::Cluster, RouteBy::Group, &members);
        config["health"] = health.into();
        Ok((config.to_string(), health))
    }

    /// Measures one reload from the new file to the answer of the first push under it, so that a ring that is built when
    /// it is first needed is included. The polls for the activation are included too: one request every 10 ms, which
    /// takes the worker less than 0.1 ms.
    pub(crate) fn measure(&mut self, gateways: &mut Gateways) -> Result<Reload> {
        let (file, health) = self.next_ring()?;
        let proxy = self.proxy;
        let (envoy, layout) = proxy.envoy()?;
        let client = envoy.client()?;
        let mut push = pushes(&measure::paths(1));
        let mut push_once = || {
            // The first push is due at once, the second one after the end.
            let length = Duration::from_millis(1);
            checked(load::run(proxy.push, gateways, &mut push, Pace::PerSecond(1), length)?)
        };
        // Opens the connections before the measurement.
        ensure!(client.get(HEALTHY)?.status != 503, "the filter has no ring before the reload");
        push_once()?;
        let before = (proxy.worker_cpu()?, proxy.cpu()?);
        layout.write_ring(&file)?;
        poll_until("the new ring", || ((client.get(HEALTHY).ok()?.status == 200) == health).then_some(()))?;
        push_once()?;
        Ok(Reload {
            worker_ms: (proxy.worker_cpu()? - before.0) as f64 / 1e6,
            all_ms: (proxy.cpu()? - before.1) as f64 / 1e6,
        })
    }

    /// Pushes at a constant rate for `window` with a reload in its middle; returns the latencies in nanoseconds. If a busy
    /// machine delays the reload beyond the window, the window is repeated.
    pub(crate) fn under_load(
        &mut self,
        gateways: &mut Gateways,
        pushes: &mut load::Pushes,
        window: Duration,
    ) -> Result<Vec<u64>> {
        let (envoy, layout) = self.proxy.envoy()?;
        loop {
            // Rendered in advance: the thread that writes it shares its core with the load.
            let (file, _) = self.next_ring()?;
            let before = envoy.stat(RELOADS)?.unwrap_or(0);
            let outcome = thread::scope(|scope| {
                let writer = scope.spawn(|| {
                    thread::sleep(window / 2);
                    layout.write_ring(&file)
                });
                let outcome = load::run(self.proxy.push, gateways, pushes, PACE, window);
                writer.join().map_err(|_| anyhow::anyhow!("the thread that reloads panicked"))??;
                outcome
            })?;
            let in_window = envoy.stat(RELOADS)?.unwrap_or(0) > before;
            envoy.wait_stat(RELOADS, |reloads| reloads > before)?;
            let times = checked(outcome)?.times;
            if in_window {
                return Ok(times);
            }
        }
    }
}
