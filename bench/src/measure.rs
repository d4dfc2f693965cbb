//! One measurement of one proxy, and numbers over many of them.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::load::{self, Gateways, Outcome, Pace, Push, Pushes};
use crate::proxy::Proxy;

/// Clients at the same time, each with one keep-alive connection.
pub(crate) const CONNECTIONS: usize = 16;
/// Different groups that are pushed to.
pub(crate) const GROUPS: usize = 1000;
/// Pushes a second while waiting times are measured: well below what any of the proxies can do.
const PACE: u32 = 2000;
const WARM_UP: Duration = Duration::from_millis(100);

/// What one measurement gave.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// Microseconds of the proxy's processor time for a push, at full load.
    pub(crate) cpu_us: f64,
    /// At full load.
    pub(crate) pushes_per_second: f64,
    /// Microseconds from when a push was due to its answer, at 2000 pushes a second.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Full load for `length` to count processor time, then `length` at a steady pace for waiting times.
pub(crate) fn sample(
    proxy: &Proxy,
    gateways: &mut Gateways,
    pushes: &mut Pushes,
    length: Duration,
) -> Result<Sample> {
    let (cpu_us, pushes_per_second) = full_load(proxy, gateways, pushes, length)?;
    let steady = checked(load::run(proxy.push, gateways, pushes, Pace::PerSecond(PACE), length)?)?;
    Ok(Sample {
        cpu_us,
        pushes_per_second,
        p50_us: percentile(&steady.times, 50),
        p99_us: percentile(&steady.times, 99),
    })
}

/// Processor time for a push in microseconds, and pushes a second, after a moment to warm up.
pub(crate) fn full_load(
    proxy: &Proxy,
    gateways: &mut Gateways,
    pushes: &mut Pushes,
    length: Duration,
) -> Result<(f64, f64)> {
    checked(load::run(proxy.push, gateways, pushes, Pace::Closed, WARM_UP)?)?;
    let before = proxy.cpu()?;
    let full = checked(load::run(proxy.push, gateways, pushes, Pace::Closed, length)?)?;
    let cpu = proxy.cpu()? - before;
    let answered = full.answered() as f64;
    Ok((cpu as f64 / 1000.0 / answered, answered / full.took.as_secs_f64()))
}

/// A run in which a push failed says nothing.
pub(crate) fn checked(outcome: Outcome) -> Result<Outcome> {
    ensure!(outcome.failed == 0, "{} pushes failed of {}", outcome.failed, outcome.answered());
    ensure!(outcome.answered() > 0, "nothing was answered");
    Ok(outcome)
}

/// A PUT to each of the paths; `header` gives more header lines for each.
pub(crate) fn messages(paths: &[String], body: usize, header: impl Fn(usize) -> String) -> Vec<Push> {
    let message = |(index, path): (usize, &String)| {
        let header = header(index);
        format!("PUT {path} HTTP/1.1\r\nhost: push.example.org\r\n{header}content-length: {body}\r\n\r\n")
            .into_bytes()
    };
    paths.iter().enumerate().map(message).collect()
}

/// Push paths of different groups, with three labels.
pub(crate) fn paths(number: usize) -> Vec<String> {
    let path = |i| format!("/metrics/job/backup-{}/instance/db{i}.example.org/shard/{}", i % 17, i % 5);
    (0..number).map(path).collect()
}

/// In microseconds, of times in nanoseconds.
pub(crate) fn percentile(times: &[u64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(f64::NAN, |&time| time as f64 / 1000.0)
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn minimum(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NAN, f64::min)
}
