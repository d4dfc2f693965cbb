//! One measurement of one proxy: pushes at full load for processor time, at a steady pace for waiting times.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::load::{self, Gateways, Outcome, Pace, Push, Pushes};
use crate::proxy::Proxy;
use crate::stats::percentile;

/// Clients at the same time, each with one keep-alive connection.
pub(crate) const CONNECTIONS: usize = 16;
/// Different groups that are pushed to.
pub(crate) const GROUPS: usize = 1000;
/// Pushes while waiting times are measured: well below what any of the proxies can do.
pub(crate) const PACE: Pace = Pace::PerSecond(2000);
/// At full load: until a process that was just started has compiled what it runs often and has its memory.
pub(crate) const WARM_UP: Duration = Duration::from_millis(200);
/// At full load: until a process that is warm has its new connections and the buffers for another body.
pub(crate) const SWITCH: Duration = Duration::from_millis(50);

/// What pushes at full load cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Cost {
    /// Microseconds of the proxy's processor time for a push.
    pub(crate) cpu_us: f64,
    pub(crate) pushes_per_second: f64,
}

/// Microseconds from when a push was due to its answer, at 2000 pushes a second.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Waiting {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Full load for `length`, after `warm_up` of the same that does not count.
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

/// Pushes at a steady pace for `length`.
pub(crate) fn waiting(
    proxy: &Proxy,
    gateways: &mut Gateways,
    pushes: &mut Pushes,
    length: Duration,
) -> Result<Waiting> {
    let steady = checked(load::run(proxy.push, gateways, pushes, PACE, length)?)?;
    Ok(Waiting { p50_us: percentile(&steady.times, 50), p99_us: percentile(&steady.times, 99) })
}

/// A run in which a push failed says nothing.
pub(crate) fn checked(outcome: Outcome) -> Result<Outcome> {
    ensure!(outcome.failed == 0, "{} pushes failed of {}", outcome.failed, outcome.answered());
    ensure!(outcome.answered() > 0, "nothing was answered");
    Ok(outcome)
}

/// A PUT to each of the paths, with the header lines of its own.
pub(crate) fn messages(paths: &[String], headers: &[String], body: usize) -> Vec<Push> {
    let message = |(path, header): (&String, &String)| {
        format!("PUT {path} HTTP/1.1\r\nhost: push.example.org\r\n{header}content-length: {body}\r\n\r\n")
            .into_bytes()
    };
    paths.iter().zip(headers).map(message).collect()
}

/// Push paths of different groups, with three labels.
pub(crate) fn paths(number: usize) -> Vec<String> {
    let path = |i| format!("/metrics/job/backup-{}/instance/db{i}.example.org/shard/{}", i % 17, i % 5);
    (0..number).map(path).collect()
}
