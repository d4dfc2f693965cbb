//! The cost of a push and of a reload by number of members, number of labels and length of the path.

use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use pushring_bench::{progress, table};
use pushring_harness::Mode;
use serde::Serialize;
use tempfile::TempDir;

use crate::load::{self, Gateways, Pace};
use crate::measure::{self, GROUPS, PACE, SWITCH, WARM_UP, checked, pushes};
use crate::proxy::{self, Kind, Proxy, RouteBy, Variant};
use crate::reload::{Reload, Reloader};
use crate::rounds::rotate;
use crate::stats::{Median, median, minimum, percentile};

const MEMBERS: [usize; 7] = [2, 3, 10, 30, 100, 300, 1000];
const LABELS: [usize; 5] = [0, 2, 5, 10, 20];
/// Bytes of the path.
const LENGTHS: [usize; 4] = [50, 200, 1000, 4000];
/// Members on the axes of labels and lengths.
const USUAL_MEMBERS: usize = 10;
/// Length of one measurement at full load.
const LENGTH: Duration = Duration::from_millis(200);
/// Measured reloads per process.
const RELOADS: u32 = 2;
/// Members during the latency measurement.
const RELOADING_MEMBERS: usize = 100;
/// Length of a window of pushes, with a reload in its middle or without one.
const WINDOW: Duration = Duration::from_secs(1);
/// Pairs of windows with and without a reload, per process.
const PAIRS: u32 = 8;

/// One point of a curve.
#[derive(Debug, Serialize)]
pub(crate) struct Point {
    /// `members`, `labels` or `length`.
    pub(crate) axis: &'static str,
    pub(crate) value: usize,
    pub(crate) cpu_us_min: f64,
    pub(crate) cpu_us_median: f64,
    /// Milliseconds of the worker per reload, including the first push; only on the axis of members.
    pub(crate) reload_worker_ms: Option<Median>,
    pub(crate) reload_worker_ms_min: Option<f64>,
    /// The same for all threads.
    pub(crate) reload_all_ms: Option<Median>,
    /// Resident memory after the reloads.
    pub(crate) memory_bytes: f64,
}

/// Latency with and without a reload each second: medians over the windows.
#[derive(Debug, Serialize)]
pub(crate) struct Reloading {
    p50_us_quiet: f64,
    p99_us_quiet: f64,
    p50_us_reloading: f64,
    p99_us_reloading: f64,
    /// Ratio of the p99 of windows that follow each other.
    pub(crate) ratio_p99: Option<Median>,
    reloads: u32,
}

/// The results of this part.
pub(crate) struct Scaling {
    pub(crate) points: Vec<Point>,
    pub(crate) reloading: Reloading,
}

/// The pushes at one point, and their CPU time in microseconds in each round.
struct Curve {
    axis: &'static str,
    value: usize,
    members: usize,
    paths: Vec<String>,
    cpu_us: Vec<f64>,
}

/// The measurements of all processes with one number of members.
struct Size {
    members: usize,
    reloads: Vec<Reload>,
    memory: Vec<f64>,
}

/// Runs `rounds` rounds of the curves, and as many of the latency measurement.
pub(crate) fn run(rounds: Option<u32>) -> Result<Scaling> {
    let most = MEMBERS.into_iter().max().unwrap_or(1);
    let mut gateways = Gateways::listen(most + 1)?;
    let mut curves = curves();
    let mut sizes = MEMBERS.map(|members| Size { members, reloads: Vec::new(), memory: Vec::new() });
    let (growing, reloading) = (rounds.unwrap_or(9), rounds.unwrap_or(7));
    let progress = progress("scaling", MEMBERS.len() * growing as usize + reloading as usize);
    for round in 0..growing {
        let mut turns: Vec<&mut Size> = sizes.iter_mut().collect();
        rotate(&mut turns, round);
        for size in turns {
            turn(size, &mut curves, &mut gateways).with_context(|| format!("{} members", size.members))?;
            progress.inc(1);
        }
    }
    let reloading = measure_reloading(&mut gateways, reloading, &progress)?;
    progress.finish_and_clear();
    let points = points(&curves, &sizes);
    show(&points, &reloading);
    Ok(Scaling { points, reloading })
}

fn curves() -> Vec<Curve> {
    let all = |path: &dyn Fn(usize) -> String| (0..GROUPS).map(path).collect::<Vec<_>>();
    let curve = |axis, value, members, paths| Curve { axis, value, members, paths, cpu_us: Vec::new() };
    let members = MEMBERS.map(|value| curve("members", value, value, measure::paths(GROUPS)));
    let labels = LABELS.map(|value| {
        let path = |i| {
            (0..value).fold(format!("/metrics/job/backup-{i}"), |path, l| format!("{path}/label{l}/v{i}"))
        };
        curve("labels", value, USUAL_MEMBERS, all(&path))
    });
    let lengths = LENGTHS.map(|value| {
        let path = |i| format!("/metrics/job/backup/instance/{i:0>width$}", width = value.saturating_sub(29));
        curve("length", value, USUAL_MEMBERS, all(&path))
    });
    members.into_iter().chain(labels).chain(lengths).collect()
}

/// Starts a process; drop the folder after it.
fn start(members: usize, gateways: &Gateways) -> Result<(Proxy, TempDir)> {
    let dir = tempfile::tempdir()?;
    let kind = Kind::Pushring(Mode::Cluster, RouteBy::Group);
    let variant = Variant { name: "scaling", kind, members };
    Ok((proxy::start(&variant, &gateways.addresses()?, dir.path())?, dir))
}

/// Measures all curves with this number of members in one process, whose bias is the same for all of them.
fn turn(size: &mut Size, curves: &mut [Curve], gateways: &mut Gateways) -> Result<()> {
    let (proxy, _dir) = start(size.members, gateways)?;
    let mut warm_up = WARM_UP;
    for curve in curves.iter_mut().filter(|curve| curve.members == size.members) {
        let cost = measure::full_load(&proxy, gateways, &mut pushes(&curve.paths), warm_up, LENGTH)?;
        curve.cpu_us.push(cost.cpu_us);
        warm_up = SWITCH;
    }
    let mut reloader = Reloader::new(&proxy, gateways, size.members)?;
    for _ in 0..RELOADS {
        size.reloads.push(reloader.measure(gateways)?);
    }
    size.memory.push(proxy.memory()? as f64);
    Ok(())
}

/// Measures windows without and with a reload in turn; every other pair starts with the reload. Windows are short and
/// many, so that a disturbance of the machine affects few pairs, or both windows of a pair.
fn measure_reloading(gateways: &mut Gateways, rounds: u32, progress: &ProgressBar) -> Result<Reloading> {
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (proxy, _dir) = start(RELOADING_MEMBERS, gateways)?;
        let mut reloader = Reloader::new(&proxy, gateways, RELOADING_MEMBERS)?;
        let mut pushes = pushes(&measure::paths(GROUPS));
        checked(load::run(proxy.push, gateways, &mut pushes, Pace::Closed, WARM_UP)?)?;
        for pair in 0..PAIRS {
            for reload in [pair % 2 == 1, pair % 2 == 0] {
                if reload {
                    busy.push(reloader.under_load(gateways, &mut pushes, WINDOW)?);
                } else {
                    quiet.push(checked(load::run(proxy.push, gateways, &mut pushes, PACE, WINDOW)?)?.times);
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

fn points(curves: &[Curve], sizes: &[Size]) -> Vec<Point> {
    let point = |curve: &Curve| {
        let size = sizes.iter().find(|size| size.members == curve.members);
        let memory = size.map(|size| median(size.memory.iter().copied()));
        let reloads = size.filter(|_| curve.axis == "members").map(|size| &size.reloads);
        let over = |value: fn(&Reload) -> f64| reloads.map(|all| all.iter().map(value));
        Point {
            axis: curve.axis,
            value: curve.value,
            cpu_us_min: minimum(curve.cpu_us.iter().copied()),
            cpu_us_median: median(curve.cpu_us.iter().copied()),
            reload_worker_ms: over(|reload| reload.worker_ms).and_then(Median::of),
            reload_worker_ms_min: over(|reload| reload.worker_ms).map(minimum),
            reload_all_ms: over(|reload| reload.all_ms).and_then(Median::of),
            memory_bytes: memory.unwrap_or(f64::NAN),
        }
    };
    curves.iter().map(point).collect()
}

fn show(points: &[Point], reloading: &Reloading) {
    let mut table =
        table(&["axis", "value", "CPU us min", "median", "reload ms, worker", "all threads", "MB"]);
    let milliseconds = |value: Option<Median>| value.map_or(String::new(), |ms| ms.text(1));
    for point in points {
        table.add_row([
            point.axis.to_owned(),
            point.value.to_string(),
            format!("{:.1}", point.cpu_us_min),
            format!("{:.1}", point.cpu_us_median),
            milliseconds(point.reload_worker_ms),
            milliseconds(point.reload_all_ms),
            format!("{:.0}", point.memory_bytes / 1e6),
        ]);
    }
    println!("Cluster mode, pushes of 90 B, CPU time of Envoy; reloads: median (95 % interval)\n{table}\n");
    println!(
        "2000 pushes/s, {RELOADING_MEMBERS} members: p99 {:.0} us, with a reload each second {:.0} us; ratio {} \
         ({} reloads)\n",
        reloading.p99_us_quiet,
        reloading.p99_us_reloading,
        reloading.ratio_p99.map_or(String::new(), |ratio| ratio.text(2)),
        reloading.reloads
    );
}
