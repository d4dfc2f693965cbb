//! How the cost of a push and of a reload grows with members, labels and the length of a path.

use std::time::Duration;

use anyhow::{Context, Result};
use pushring_tests::Mode;
use serde::Serialize;
use tempfile::TempDir;

use crate::load::{Gateways, Pushes};
use crate::measure::{self, CONNECTIONS, GROUPS, SWITCH, WARM_UP};
use crate::proxy::{Kind, Proxy, RouteBy, Variant};
use crate::reload::{self, Reload, Reloading};
use crate::stats::{Median, median, minimum};
use crate::{report, rounds};

const MEMBERS: [usize; 7] = [2, 3, 10, 30, 100, 300, 1000];
const LABELS: [usize; 5] = [0, 2, 5, 10, 20];
/// Bytes of the path.
const LENGTHS: [usize; 4] = [50, 200, 1000, 4000];
/// Of the axes that are not members.
const USUAL: usize = 10;
/// Of one measurement at full load.
const LENGTH: Duration = Duration::from_millis(200);
/// Of one process.
const RELOADS: u32 = 2;

/// What was measured at one point of a curve.
#[derive(Debug, Serialize)]
pub(crate) struct Point {
    /// `members`, `labels` or `length`.
    pub(crate) axis: &'static str,
    pub(crate) value: usize,
    pub(crate) cpu_us_min: f64,
    pub(crate) cpu_us_median: f64,
    /// Milliseconds that a reload keeps the worker busy, up to the first push; where members are the axis.
    pub(crate) reload_worker_ms: Option<Median>,
    pub(crate) reload_worker_ms_min: Option<f64>,
    /// The same for all threads: Envoy configures a trial machine, its main thread and each worker.
    pub(crate) reload_all_ms: Option<Median>,
    /// Resident memory after the reloads.
    pub(crate) memory_bytes: f64,
}

/// All of this part.
pub(crate) struct Growth {
    pub(crate) points: Vec<Point>,
    pub(crate) reloading: Reloading,
}

/// What is pushed through a process with so many members, and microseconds for a push, one of each round.
struct Curve {
    axis: &'static str,
    value: usize,
    members: usize,
    paths: Vec<String>,
    cpu_us: Vec<f64>,
}

/// A number of members and what was measured of its processes.
struct Size {
    members: usize,
    reloads: Vec<Reload>,
    memory: Vec<f64>,
}

/// `rounds` is that of the curves and of pushes during reloads.
pub(crate) fn run(rounds: Option<u32>) -> Result<Growth> {
    let most = MEMBERS.into_iter().max().unwrap_or(1);
    let mut gateways = Gateways::listen(most)?;
    let mut curves = curves();
    let mut sizes = MEMBERS.map(|members| Size { members, reloads: Vec::new(), memory: Vec::new() });
    let (growing, reloading) = (rounds.unwrap_or(9), rounds.unwrap_or(7));
    let progress = report::progress("growth", MEMBERS.len() * growing as usize + reloading as usize)?;
    for round in 0..growing {
        let mut turns: Vec<&mut Size> = sizes.iter_mut().collect();
        rounds::rotate(&mut turns, round);
        for size in turns {
            turn(size, &mut curves, &mut gateways).with_context(|| format!("{} members", size.members))?;
            progress.inc(1);
        }
    }
    let reloading = reload::reloading(&mut gateways, reloading, &progress)?;
    progress.finish_and_clear();
    let points = points(&curves, &sizes);
    show(&points);
    reloading.show();
    Ok(Growth { points, reloading })
}

fn curves() -> Vec<Curve> {
    let all = |path: &dyn Fn(usize) -> String| (0..GROUPS).map(path).collect::<Vec<_>>();
    let curve = |axis, value, members, paths| Curve { axis, value, members, paths, cpu_us: Vec::new() };
    let members = MEMBERS.map(|value| curve("members", value, value, measure::paths(GROUPS)));
    let labels = LABELS.map(|value| {
        let path = |i| {
            (0..value).fold(format!("/metrics/job/backup-{i}"), |path, l| format!("{path}/label{l}/v{i}"))
        };
        curve("labels", value, USUAL, all(&path))
    });
    let lengths = LENGTHS.map(|value| {
        let path = |i| format!("/metrics/job/backup/instance/{i:0>width$}", width = value.saturating_sub(29));
        curve("length", value, USUAL, all(&path))
    });
    members.into_iter().chain(labels).chain(lengths).collect()
}

/// A process of its own for this round; drop the folder after it.
pub(crate) fn start(members: usize, gateways: &Gateways) -> Result<(Proxy, TempDir)> {
    let dir = tempfile::tempdir()?;
    let kind = Kind::Pushring(Mode::Cluster, RouteBy::Group);
    let variant = Variant { name: "growth", kind, members, often: false };
    Ok((Proxy::start(&variant, &gateways.addresses()?, dir.path())?, dir))
}

pub(crate) fn pushes(paths: &[String]) -> Pushes {
    let headers = vec![String::new(); paths.len()];
    Pushes::new(measure::messages(paths, &headers, 90), vec![b'#'; 90], 200, CONNECTIONS)
}

/// All curves with as many members, in one process: what its bias is does not matter along labels and lengths.
fn turn(size: &mut Size, curves: &mut [Curve], gateways: &mut Gateways) -> Result<()> {
    let (proxy, _dir) = start(size.members, gateways)?;
    let mut warm_up = WARM_UP;
    for curve in curves.iter_mut().filter(|curve| curve.members == size.members) {
        let cost = measure::full_load(&proxy, gateways, &mut pushes(&curve.paths), warm_up, LENGTH)?;
        curve.cpu_us.push(cost.cpu_us);
        warm_up = SWITCH;
    }
    size.reloads.extend(reload::several(&proxy, gateways, size.members, RELOADS)?);
    size.memory.push(proxy.memory()? as f64);
    Ok(())
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

fn show(points: &[Point]) {
    let header = ["axis", "value", "CPU us min", "median", "reload ms, worker", "all threads", "MB"];
    let mut table = report::table(&header);
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
    println!(
        "How it grows: cluster mode, 90 B, processor time of Envoy; reloads: median (its 95 % interval)\n{table}\n"
    );
}
