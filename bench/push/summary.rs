//! The result of each variant: medians, and ratios to the reference variants.

use pushring_bench::table;
use serde::Serialize;

use crate::rounds::{Body, Measured, Sample};
use crate::stats::{Median, median, minimum};

/// The reference variants; a ratio is left out where its reference was not measured.
const FLOOR: &str = "no-op Wasm";
const LUA: &str = "Lua";
const NATIVE: &str = "ring_hash";
const SHIPPED: &str = "as shipped";

/// The summary of one variant with one body.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) variant: &'static str,
    pub(crate) members: usize,
    pub(crate) body: &'static str,
    pub(crate) cpu_us_min: f64,
    pub(crate) cpu_us_median: f64,
    /// CPU time over the CPU time of the no-op filter in the same round.
    pub(crate) times_floor: Option<Median>,
    /// The same over the Lua filter.
    pub(crate) times_lua: Option<Median>,
    /// The same over native `ring_hash`.
    pub(crate) times_ring_hash: Option<Median>,
    /// The same over the shipped cluster mode, in the ablation.
    pub(crate) times_shipped: Option<Median>,
    pub(crate) pushes_per_second_median: f64,
    pub(crate) p50_us_median: f64,
    pub(crate) p99_us_median: f64,
    /// Resident memory after all bodies.
    pub(crate) memory_bytes: f64,
    #[serde(skip)]
    samples: Vec<Sample>,
}

pub(crate) fn lines(measured: Vec<Measured>, bodies: &[Body]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for measured in measured {
        let memory_bytes = median(measured.memory.iter().copied());
        lines.extend(measured.samples.into_iter().zip(bodies).map(|(samples, body)| Line {
            variant: measured.variant.name,
            members: measured.variant.members,
            body: body.name,
            cpu_us_min: minimum(samples.iter().map(|s| s.cost.cpu_us)),
            cpu_us_median: median(samples.iter().map(|s| s.cost.cpu_us)),
            times_floor: None,
            times_lua: None,
            times_ring_hash: None,
            times_shipped: None,
            pushes_per_second_median: median(samples.iter().map(|s| s.cost.pushes_per_second)),
            p50_us_median: median(samples.iter().filter_map(|s| Some(s.latency?.p50_us))),
            p99_us_median: median(samples.iter().filter_map(|s| Some(s.latency?.p99_us))),
            memory_bytes,
            samples,
        }));
    }
    let all = lines.clone();
    for line in &mut lines {
        line.times_floor = ratio(line, FLOOR, &all);
        line.times_lua = ratio(line, LUA, &all);
        line.times_ring_hash = ratio(line, NATIVE, &all);
        line.times_shipped = ratio(line, SHIPPED, &all);
    }
    lines
}

/// Returns the median of the ratios within each round, in which a slow machine is slow for both.
fn ratio(line: &Line, to: &str, all: &[Line]) -> Option<Median> {
    // The reference has the same number of members where it was measured with that number.
    let as_many = format!("{to}, {}", line.members);
    let of = |name: &str| all.iter().find(|other| other.variant == name && other.body == line.body);
    let base = of(&as_many).or_else(|| of(to))?;
    let rounds = line.samples.iter().zip(&base.samples);
    Median::of(rounds.map(|(own, base)| own.cost.cpu_us / base.cost.cpu_us))
}

/// Prints the table without its empty columns.
pub(crate) fn show(lines: &[Line]) {
    type Column = (&'static str, fn(&Line) -> Option<String>);
    fn number(value: f64, digits: usize) -> Option<String> {
        value.is_finite().then(|| format!("{value:.digits$}"))
    }
    fn times(ratio: Option<Median>) -> Option<String> {
        ratio.map(|ratio| ratio.text(3))
    }
    let columns: [Column; 13] = [
        ("push", |line| Some(line.variant.to_owned())),
        ("body", |line| Some(line.body.to_owned())),
        ("rounds", |line| Some(line.samples.len().to_string())),
        ("CPU us min", |line| number(line.cpu_us_min, 1)),
        ("median", |line| number(line.cpu_us_median, 1)),
        ("x no-op", |line| times(line.times_floor)),
        ("x Lua", |line| times(line.times_lua)),
        ("x ring_hash", |line| times(line.times_ring_hash)),
        ("x shipped", |line| times(line.times_shipped)),
        ("pushes/s", |line| number(line.pushes_per_second_median, 0)),
        ("p50 us", |line| number(line.p50_us_median, 0)),
        ("p99 us", |line| number(line.p99_us_median, 0)),
        ("MB", |line| number(line.memory_bytes / 1e6, 0)),
    ];
    let shown: Vec<Column> =
        columns.into_iter().filter(|(_, cell)| lines.iter().any(|line| cell(line).is_some())).collect();
    let header: Vec<&str> = shown.iter().map(|(name, _)| *name).collect();
    let mut table = table(&header);
    for line in lines {
        table.add_row(shown.iter().map(|(_, cell)| cell(line).unwrap_or_default()));
    }
    println!("CPU time of the proxy per push; ratios within a round: median (95 % interval)\n{table}\n");
}
