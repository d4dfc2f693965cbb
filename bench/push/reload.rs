//! What a reload costs, and what it does to the pushes that are under way.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use pushring_tests::http::Client;
use pushring_tests::{Envoy, Layout, Mode, live, poll_until};
use serde::Serialize;
use serde_json::Value;

use crate::load::{self, Gateways, Pace, Pushes};
use crate::measure::{self, GROUPS, PACE, WARM_UP};
use crate::proxy::{Proxy, RouteBy, Running, envoy};
use crate::scaling::{pushes, start};
use crate::stats::{Median, median, percentile};

/// Answered by the filter where `health` is on, without the ring.
const HEALTHY: &str = "/-/healthy";
/// Envoy's count of configurations that are in force on all workers.
const TAKEN: &str = "extension_config_discovery.http_filter.pushring.config_reload";
/// Members while pushes go on.
const MEMBERS: usize = 100;
/// Of pushes with one reload in their middle, and of as many without.
const WINDOW: Duration = Duration::from_secs(1);
/// Of windows with and without, in one process.
const PAIRS: u32 = 8;

/// Milliseconds of processor time for one reload.
pub(crate) struct Reload {
    pub(crate) worker_ms: f64,
    /// Of all threads.
    pub(crate) all_ms: f64,
}

/// Reloads the same members `number` times and measures each from the new file to the answer of the first push under it.
///
/// That push is a real one, PUT and 200, so that a ring which is built when it is first needed is in the measurement. What
/// waits for the new configuration to be in force is in it too: a request every 10 ms that takes the worker less than
/// 0.1 ms.
pub(crate) fn several(
    proxy: &Proxy,
    gateways: &mut Gateways,
    members: usize,
    number: u32,
) -> Result<Vec<Reload>> {
    let (envoy, layout) = parts(proxy)?;
    let client = envoy.client()?;
    let mut push = pushes(&measure::paths(1));
    let addresses = gateways.addresses()?;
    let members = addresses.get(..members).context("too few gateways")?;
    let mut config = envoy::ring(Mode::Cluster, RouteBy::Group, members);
    // Connections are made before it counts.
    ensure!(client.get(HEALTHY)?.status == 200, "the filter does not answer {HEALTHY}");
    push_once(proxy, gateways, &mut push)?;
    let mut reloads = Vec::new();
    for number in 0..number {
        // A change that can be seen from outside and costs nothing.
        let health = number % 2 == 1;
        config["health"] = health.into();
        let file = live::ring(Mode::Cluster, &config.to_string())?;
        let before = (proxy.worker_cpu()?, proxy.cpu()?);
        layout.write_live("ring.yaml", &file)?;
        in_force(&client, health)?;
        push_once(proxy, gateways, &mut push)?;
        reloads.push(Reload {
            worker_ms: (proxy.worker_cpu()? - before.0) as f64 / 1e6,
            all_ms: (proxy.cpu()? - before.1) as f64 / 1e6,
        });
    }
    Ok(reloads)
}

/// Waits until the worker answers under the configuration that has this `health`.
fn in_force(client: &Client, health: bool) -> Result<()> {
    poll_until("the new ring", || {
        let answer = client.get(HEALTHY).ok()?;
        ((answer.status == 200) == health).then_some(())
    })
}

fn push_once(proxy: &Proxy, gateways: &mut Gateways, push: &mut Pushes) -> Result<()> {
    // The first is due at once, the second after the end.
    let outcome = load::run(proxy.push, gateways, push, Pace::PerSecond(1), Duration::from_millis(1))?;
    measure::checked(outcome).map(drop)
}

/// Pushes with and without a reload each second, 100 members.
#[derive(Debug, Serialize)]
pub(crate) struct Reloading {
    /// Medians over the windows.
    p50_us_quiet: f64,
    p99_us_quiet: f64,
    p50_us_reloading: f64,
    p99_us_reloading: f64,
    /// Of p99 in windows that follow each other.
    pub(crate) ratio_p99: Option<Median>,
    reloads: u32,
}

/// Seconds without a reload and with one in turns; every other pair begins with the reload. Short windows and many: what
/// else goes on in the machine for a while is in few pairs, or in both windows of one.
pub(crate) fn reloading(gateways: &mut Gateways, rounds: u32, progress: &ProgressBar) -> Result<Reloading> {
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (proxy, _dir) = start(MEMBERS, gateways)?;
        let mut pushes = pushes(&measure::paths(GROUPS));
        measure::checked(load::run(proxy.push, gateways, &mut pushes, Pace::Closed, WARM_UP)?)?;
        for pair in 0..PAIRS {
            for reload in [pair % 2 == 1, pair % 2 == 0] {
                if reload {
                    // Members come and go: 99 and 100 of them.
                    let members = MEMBERS - 1 + pair as usize % 2;
                    busy.push(with_reload(&proxy, gateways, &mut pushes, members)?);
                } else {
                    let outcome = load::run(proxy.push, gateways, &mut pushes, PACE, WINDOW)?;
                    quiet.push(measure::checked(outcome)?.times);
                }
            }
        }
        progress.inc(1);
    }
    let over = |all: &[Vec<u64>], percent| median(all.iter().map(|times| percentile(times, percent)));
    let ratios = quiet.iter().zip(&busy).map(|(quiet, busy)| percentile(busy, 99) / percentile(quiet, 99));
    Ok(Reloading {
        ratio_p99: Median::of(ratios),
        p50_us_quiet: over(&quiet, 50),
        p99_us_quiet: over(&quiet, 99),
        p50_us_reloading: over(&busy, 50),
        p99_us_reloading: over(&busy, 99),
        reloads: PAIRS * rounds,
    })
}

/// Times of pushes of a window, in the middle of which the ring gets that many members.
fn with_reload(
    proxy: &Proxy,
    gateways: &mut Gateways,
    pushes: &mut Pushes,
    members: usize,
) -> Result<Vec<u64>> {
    let (envoy, layout) = parts(proxy)?;
    let addresses = gateways.addresses()?;
    let members = addresses.get(..members).context("too few gateways")?;
    let config: Value = envoy::ring(Mode::Cluster, RouteBy::Group, members);
    // Made beforehand: whoever writes it shares its core with the load.
    let file = live::ring(Mode::Cluster, &config.to_string())?;
    let before = envoy.stat(TAKEN)?.unwrap_or(0);
    let outcome = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            thread::sleep(WINDOW / 2);
            layout.write_live("ring.yaml", &file)
        });
        let outcome = load::run(proxy.push, gateways, pushes, PACE, WINDOW);
        writer.join().map_err(|_| anyhow::anyhow!("the thread that reloads panicked"))??;
        outcome
    })?;
    let taken = envoy.stat(TAKEN)?.unwrap_or(0) - before;
    ensure!(taken == 1, "Envoy has taken {taken} of 1 configurations");
    Ok(measure::checked(outcome)?.times)
}

fn parts(proxy: &Proxy) -> Result<(&Envoy, &Layout)> {
    match (&proxy.running, &proxy.layout) {
        (Running::Envoy(envoy), Some(layout)) => Ok((envoy, layout)),
        _ => Err(anyhow::anyhow!("not an Envoy with pushring")),
    }
}

impl Reloading {
    pub(crate) fn show(&self) {
        println!(
            "Pushes at 2000 a second, {MEMBERS} members: p99 {:.0} us, with a reload each second {:.0} us; \
             ratio in a round: {} ({} reloads)\n",
            self.p99_us_quiet,
            self.p99_us_reloading,
            self.ratio_p99.map_or(String::new(), |ratio| ratio.text(2)),
            self.reloads
        );
    }
}
