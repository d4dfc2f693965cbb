//! How the cost of a push and of a reload grows, and what a reload does to the pushes that are under way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pushring_tests::{Mode, poll_until};
use serde::Serialize;

use crate::load::{self, Gateways, Pace, Pushes};
use crate::measure::{self, CONNECTIONS, GROUPS, median, minimum, percentile};
use crate::proxy::{Kind, Proxy, RouteBy, Running, Variant, envoy};
use crate::{report, svg};

const MEMBERS: [usize; 7] = [2, 3, 10, 30, 100, 300, 1000];
const LABELS: [usize; 5] = [0, 2, 5, 10, 20];
/// Bytes of the path.
const LENGTHS: [usize; 4] = [50, 200, 1000, 4000];
/// Reloads whose mean is one measurement.
const RELOADS: u32 = 5;
/// Time between two reloads while pushes go on.
const BETWEEN: Duration = Duration::from_secs(1);
const PACE: Pace = Pace::PerSecond(2000);

/// What was measured at one point of a curve.
#[derive(Debug, Serialize)]
pub(crate) struct Point {
    /// `members`, `labels` or `length`.
    pub(crate) axis: &'static str,
    pub(crate) value: usize,
    pub(crate) cpu_us_min: f64,
    pub(crate) cpu_us_median: f64,
    /// Milliseconds that a reload keeps the worker busy; where members are the axis.
    pub(crate) reload_worker_ms_min: Option<f64>,
    /// The same for all threads: Envoy configures a trial machine, its main thread and each worker.
    pub(crate) reload_all_ms_min: Option<f64>,
    /// Resident memory after the reloads.
    pub(crate) memory_bytes: u64,
}

/// Pushes with and without a reload each second, 100 members.
#[derive(Debug, Serialize)]
struct Reloading {
    p50_us_quiet: f64,
    p99_us_quiet: f64,
    p50_us_reloading: f64,
    p99_us_reloading: f64,
    /// Of p99, in the same round: median.
    ratio_p99: f64,
    reloads: usize,
}

pub(crate) fn run(rounds: u32, length: Duration) -> Result<()> {
    let most = MEMBERS.into_iter().max().unwrap_or(1);
    let mut gateways = Gateways::listen(most)?;
    let dir = tempfile::tempdir()?;
    let mut proxies = Vec::new();
    for members in MEMBERS {
        proxies.push((members, start(members, &gateways, dir.path())?));
    }
    let curves = curves();
    let progress = report::progress("growth", (curves.len() + 1) * rounds as usize)?;
    let mut samples = vec![Vec::new(); curves.len()];
    for _ in 0..rounds {
        for (curve, samples) in curves.iter().zip(&mut samples) {
            let proxy = of(&proxies, curve.members)?;
            samples.push(measure::full_load(proxy, &mut gateways, &mut pushes(&curve.paths), length)?.0);
            progress.inc(1);
        }
    }
    let reloading = reloading(of(&proxies, 100)?, &mut gateways, rounds, &progress)?;
    progress.finish_and_clear();
    let mut points = Vec::new();
    for (curve, samples) in curves.iter().zip(&samples) {
        let proxy = of(&proxies, curve.members)?;
        let reload =
            if curve.axis == "members" { Some(reload(proxy, &gateways, curve.members)?) } else { None };
        points.push(Point {
            axis: curve.axis,
            value: curve.value,
            cpu_us_min: minimum(samples.iter().copied()),
            cpu_us_median: median(samples.iter().copied()),
            reload_worker_ms_min: reload.map(|(worker, _)| worker),
            reload_all_ms_min: reload.map(|(_, all)| all),
            memory_bytes: proxy.memory()?,
        });
    }
    show(&points, &reloading);
    report::write("growth.json", &points)?;
    report::write("reloading.json", &reloading)?;
    report::write_text("growth.svg", &svg::growth(&points))
}

/// What is pushed through which of the proxies.
struct Curve {
    axis: &'static str,
    value: usize,
    members: usize,
    paths: Vec<String>,
}

fn curves() -> Vec<Curve> {
    let all = |path: &dyn Fn(usize) -> String| (0..GROUPS).map(path).collect::<Vec<_>>();
    let members =
        MEMBERS.map(|value| Curve { axis: "members", value, members: value, paths: measure::paths(GROUPS) });
    let labels = LABELS.map(|value| {
        let path = |i| {
            (0..value).fold(format!("/metrics/job/backup-{i}"), |path, l| format!("{path}/label{l}/v{i}"))
        };
        Curve { axis: "labels", value, members: 10, paths: all(&path) }
    });
    let lengths = LENGTHS.map(|value| {
        let path = |i| format!("/metrics/job/backup/instance/{i:0>width$}", width = value.saturating_sub(29));
        Curve { axis: "length", value, members: 10, paths: all(&path) }
    });
    members.into_iter().chain(labels).chain(lengths).collect()
}

fn of(proxies: &[(usize, Proxy)], members: usize) -> Result<&Proxy> {
    proxies
        .iter()
        .find(|(number, _)| *number == members)
        .map(|(_, proxy)| proxy)
        .context("a proxy of that size")
}

fn start(members: usize, gateways: &Gateways, dir: &std::path::Path) -> Result<Proxy> {
    let dir = tempfile::Builder::new().tempdir_in(dir)?.keep();
    let variant = Variant { name: "growth", kind: Kind::Pushring(Mode::Cluster, RouteBy::Group), members };
    Proxy::start(&variant, &gateways.addresses()?, &dir)
}

fn pushes(paths: &[String]) -> Pushes {
    Pushes::new(measure::messages(paths, 90, |_| String::new()), vec![b'#'; 90], 200, CONNECTIONS)
}

/// Milliseconds of processor time for a reload: of the worker, of all threads.
fn reload(proxy: &Proxy, gateways: &Gateways, members: usize) -> Result<(f64, f64)> {
    let (mut worker, mut all) = (Vec::new(), Vec::new());
    for round in 0..RELOADS {
        let before = (proxy.worker_cpu()?, proxy.cpu()?);
        write_ring(proxy, gateways, members, round)?;
        accepted(proxy, round)?;
        worker.push((proxy.worker_cpu()? - before.0) as f64 / 1e6);
        all.push((proxy.cpu()? - before.1) as f64 / 1e6);
    }
    Ok((minimum(worker), minimum(all)))
}

/// The same members with another path for the status, so that Envoy sees a change and we see it in force.
fn write_ring(proxy: &Proxy, gateways: &Gateways, members: usize, round: u32) -> Result<()> {
    let addresses = gateways.addresses()?;
    let members = addresses.get(..members).context("too few gateways")?;
    let mut config = envoy::ring(Mode::Cluster, RouteBy::Group, members);
    config["status_path"] = format!("/-/pushring/{round}").into();
    proxy.layout.as_ref().context("pushring's files")?.write_ring(&config.to_string())
}

/// Waits until the worker answers under the new configuration.
fn accepted(proxy: &Proxy, round: u32) -> Result<()> {
    let Running::Envoy(envoy) = &proxy.running else { return Ok(()) };
    let client = envoy.client()?;
    poll_until("the new ring", || {
        let answer = client.get(&format!("/-/pushring/{round}")).ok()?;
        (answer.status == 200).then_some(())
    })
}

/// Rounds without and with a reload each second.
fn reloading(
    proxy: &Proxy,
    gateways: &mut Gateways,
    rounds: u32,
    progress: &indicatif::ProgressBar,
) -> Result<Reloading> {
    let (mut quiet, mut busy, mut reloads) = (Vec::new(), Vec::new(), 0);
    let mut pushes = pushes(&measure::paths(GROUPS));
    let rings = rings(gateways)?;
    for _ in 0..rounds {
        let outcome = load::run(proxy.push, gateways, &mut pushes, PACE, BETWEEN * 2)?;
        quiet.push(measure::checked(outcome)?.times);
        let stop = AtomicBool::new(false);
        let outcome = thread::scope(|scope| {
            let writer = scope.spawn(|| reload_on(proxy, &rings, &stop));
            let outcome = load::run(proxy.push, gateways, &mut pushes, PACE, BETWEEN * 2);
            stop.store(true, Ordering::Relaxed);
            reloads += writer.join().map_err(|_| anyhow::anyhow!("the thread that reloads panicked"))??;
            outcome
        })?;
        busy.push(measure::checked(outcome)?.times);
        progress.inc(1);
    }
    let over = |all: &[Vec<u64>], percent| median(all.iter().map(|times| percentile(times, percent)));
    let ratios = quiet.iter().zip(&busy).map(|(quiet, busy)| percentile(busy, 99) / percentile(quiet, 99));
    Ok(Reloading {
        ratio_p99: median(ratios),
        p50_us_quiet: over(&quiet, 50),
        p99_us_quiet: over(&quiet, 99),
        p50_us_reloading: over(&busy, 50),
        p99_us_reloading: over(&busy, 99),
        reloads,
    })
}

/// Two configurations of 100 and 99 members, taken in turns.
fn rings(gateways: &Gateways) -> Result<[String; 2]> {
    let addresses = gateways.addresses()?;
    let ring = |number| {
        let members = addresses.get(..number).unwrap_or_default();
        envoy::ring(Mode::Cluster, RouteBy::Group, members).to_string()
    };
    Ok([ring(100), ring(99)])
}

fn reload_on(proxy: &Proxy, rings: &[String; 2], stop: &AtomicBool) -> Result<usize> {
    let layout = proxy.layout.as_ref().context("pushring's files")?;
    let mut reloads = 0;
    let mut next = Instant::now() + BETWEEN / 2;
    while !stop.load(Ordering::Relaxed) {
        if Instant::now() >= next {
            layout.write_ring(rings.get(reloads % 2).map_or("", |ring| ring))?;
            reloads += 1;
            next += BETWEEN;
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(reloads)
}

fn show(points: &[Point], reloading: &Reloading) {
    let header = ["axis", "value", "CPU us min", "median", "reload ms, worker", "all threads", "MB"];
    let mut table = report::table(&header);
    let milliseconds = |value: Option<f64>| value.map_or(String::new(), |ms| format!("{ms:.1}"));
    for point in points {
        table.add_row([
            point.axis.to_owned(),
            point.value.to_string(),
            format!("{:.1}", point.cpu_us_min),
            format!("{:.1}", point.cpu_us_median),
            milliseconds(point.reload_worker_ms_min),
            milliseconds(point.reload_all_ms_min),
            format!("{:.0}", point.memory_bytes as f64 / 1e6),
        ]);
    }
    println!("How it grows: cluster mode, 90 B, processor time of Envoy\n{table}\n");
    println!(
        "Pushes at 2000 a second, 100 members: p99 {:.0} us, with a reload each second {:.0} us; \
         ratio in a round, median: {:.2} ({} reloads)\n",
        reloading.p99_us_quiet, reloading.p99_us_reloading, reloading.ratio_p99, reloading.reloads
    );
}
