//! Measurements: CPU time at full load, latency at a constant rate.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::load::{self, Gateways, Outcome, Pace, Push, Pushes};
use crate::proxy::Proxy;
use crate::stats::percentile;

/// Clients at the same time, each with one keep-alive connection.
pub(crate) const CONNECTIONS: usize = 16;
/// Number of different groups.
pub(crate) const GROUPS: usize = 1000;
/// Rate at which latency is measured: far below the capacity of every proxy.
pub(crate) const PACE: Pace = Pace::PerSecond(2000);
/// Full load before the first measurement of a process, which compiles its hot code and allocates its memory.
pub(crate) const WARM_UP: Duration = Duration::from_millis(200);
/// Full load before a further measurement of the same process with other pushes, which opens connections.
pub(crate) const SWITCH: Duration = Duration::from_millis(50);
/// One slice of an interleaved measurement, and the full load before it: another process has used the caches.
const SLICE: [Duration; 2] = [Duration::from_millis(40), Duration::from_millis(5)];

/// Cost of pushes at full load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Microseconds of the proxy's CPU time per push.
    pub(crate) cpu_us: f64,
    pub(crate) pushes_per_second: f64,
}

/// Microseconds from the moment a push was due to its answer, at [`PACE`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Measures full load for `length`, after `warm_up` of unmeasured full load.
pub(crate) fn full_load(
    proxy: &Proxy,
    gateways: &mut Gateways,
    pushes: &mut Pushes,
    warm_up: Duration,
    length: Duration,
) -> Result<Cost> {
    checked(load::run(proxy.push, gateways, pushes, Pace::Closed, warm_up)?)?;
    let before = proxy.cpu()?;
    let full = checked(load::run(proxy.push, gateways, pushes, Pace::Closed, length)?)?;
    let cpu = proxy.cpu()? - before;
    let answered = full.answered() as f64;
    Ok(Cost { cpu_us: cpu as f64 / 1000.0 / answered, pushes_per_second: answered / full.took.as_secs_f64() })
}

/// Measures several proxies in turn, there and back, in `slices` short slices each, so that a slow phase of the machine
/// affects all of them. Returns the means by proxy.
pub(crate) fn interleaved(
    proxies: &[Proxy],
    gateways: &mut Gateways,
    pushes: &mut [Pushes],
    slices: u32,
) -> Result<Vec<Cost>> {
    let [length, warm_up] = SLICE;
    let mut means = vec![Cost::default(); proxies.len()];
    for slice in 0..slices {
        let mut turns: Vec<_> = proxies.iter().zip(pushes.iter_mut()).zip(&mut means).collect();
        if slice % 2 == 1 {
            turns.reverse();
        }
        let warm_up = if slice == 0 { WARM_UP } else { warm_up };
        for ((proxy, pushes), mean) in turns {
            let cost = full_load(proxy, gateways, pushes, warm_up, length)?;
            mean.cpu_us += cost.cpu_us / f64::from(slices);
            mean.pushes_per_second += cost.pushes_per_second / f64::from(slices);
        }
    }
    Ok(means)
}

/// Measures pushes at a constant rate for `length`.
pub(crate) fn latency(
    proxy: &Proxy,
    gateways: &mut Gateways,
    pushes: &mut Pushes,
    length: Duration,
) -> Result<Latency> {
    let steady = checked(load::run(proxy.push, gateways, pushes, PACE, length)?)?;
    Ok(Latency { p50_us: percentile(&steady.times, 50), p99_us: percentile(&steady.times, 99) })
}

/// Rejects a run in which a push failed: its numbers are meaningless.
pub(crate) fn checked(outcome: Outcome) -> Result<Outcome> {
    ensure!(outcome.failed == 0, "{} pushes failed, {} succeeded", outcome.failed, outcome.answered());
    ensure!(outcome.answered() > 0, "no push was answered");
    Ok(outcome)
}

/// Returns a PUT for each path, each with its own header lines.
pub(crate) fn messages(paths: &[String], headers: &[String], body: usize) -> Vec<Push> {
    let message = |(path, header): (&String, &String)| {
        format!("PUT {path} HTTP/1.1\r\nhost: push.example.org\r\n{header}content-length: {body}\r\n\r\n")
            .into_bytes()
    };
    paths.iter().zip(headers).map(message).collect()
}

/// Returns pushes of 90 bytes to these paths, without further headers.
pub(crate) fn pushes(paths: &[String]) -> Pushes {
    let headers = vec![String::new(); paths.len()];
    Pushes::new(messages(paths, &headers, 90), vec![b'#'; 90], 200, CONNECTIONS)
}

/// Returns the push paths of that many groups with three labels.
pub(crate) fn paths(number: usize) -> Vec<String> {
    let path = |i| format!("/metrics/job/backup-{}/instance/db{i}.example.org/shard/{}", i % 17, i % 5);
    (0..number).map(path).collect()
}
