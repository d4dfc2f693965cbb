//! Two builds of the filter in one run: the cost of a push, the cost of a reload, and latency during reloads.
//!
//! In each round both builds run at the same time, each in an Envoy of its own, and are measured in turn, so that a slow
//! phase of the machine affects both. Each round has new processes, because a process keeps a bias.

use std::array;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use pushring_bench::{progress, table};
use pushring_harness::tools;

use crate::load::Gateways;
use crate::measure::{self, GROUPS, pushes};
use crate::proxy::{Proxy, start_module};
use crate::reload::Reloader;
use crate::stats::{Median, median, percentile};

/// Members of the ring while pushes are measured, and while reloads are.
const MEMBERS: [usize; 2] = [10, 100];
/// Slices of full load per round, build and number of members.
const SLICES: u32 = 12;
/// Reloads per round and build, without load and under load.
const RELOADS: u32 = 4;
/// Length of a window of pushes with a reload in its middle. A reload delays about 1 % of its pushes.
const WINDOW: Duration = Duration::from_millis(500);

/// One measure, with the means of each round for this build and for the other one.
struct Comparison {
    name: &'static str,
    rounds: Vec<[f64; 2]>,
}

/// Compares this build of the filter with the module at `other` and prints the ratios.
pub(crate) fn run(other: &Path, rounds: Option<u32>) -> Result<()> {
    let rounds = rounds.unwrap_or(60);
    let modules = [&tools::wasm()?, other];
    let mut gateways = Gateways::listen(MEMBERS[1] + 1)?;
    let mut comparisons = [
        "push, 10 members: CPU us",
        "push, 100 members: CPU us",
        "reload, 100 members: worker CPU ms",
        "reload, 100 members: CPU ms of all threads",
        "p99 us of 0.5 s with a reload, 100 members",
    ]
    .map(|name| Comparison { name, rounds: Vec::new() });
    let progress = progress("rounds", rounds as usize);
    for round in 0..rounds {
        let dir = tempfile::tempdir()?;
        let few = start(modules, MEMBERS[0], round, &gateways, &dir.path().join("few"))?;
        comparisons[0].rounds.push(push_cost(&few, &mut gateways)?);
        drop(few);
        let many = start(modules, MEMBERS[1], round, &gateways, &dir.path().join("many"))?;
        comparisons[1].rounds.push(push_cost(&many, &mut gateways)?);
        let reloads = reload_cost(&many, &mut gateways)?;
        for (comparison, values) in comparisons[2..].iter_mut().zip(reloads) {
            comparison.rounds.push(values);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let mut table =
        table(&["measure", "rounds", "other build", "this build", "this / other (95 % interval)"]);
    for comparison in &comparisons {
        table.add_row(comparison.row());
    }
    println!("{table}");
    Ok(())
}

/// Starts an Envoy for each module, the second one first in every other round.
fn start(
    modules: [&Path; 2],
    members: usize,
    round: u32,
    gateways: &Gateways,
    dir: &Path,
) -> Result<[Proxy; 2]> {
    let addresses = gateways.addresses()?;
    let addresses = addresses.get(..members).context("too few gateways")?;
    let start = |index: usize| start_module(modules[index], addresses, &dir.join(index.to_string()));
    if round.is_multiple_of(2) {
        Ok([start(0)?, start(1)?])
    } else {
        let second = start(1)?;
        Ok([start(0)?, second])
    }
}

/// Microseconds of CPU time per push, by build.
fn push_cost(proxies: &[Proxy; 2], gateways: &mut Gateways) -> Result<[f64; 2]> {
    let paths = measure::paths(GROUPS);
    let mut pushes = [pushes(&paths), pushes(&paths)];
    let costs = measure::interleaved(proxies, gateways, &mut pushes, SLICES)?;
    Ok(array::from_fn(|index| costs[index].cpu_us))
}

/// Milliseconds of the worker and of all threads per reload, and p99 in microseconds around a reload, by build.
fn reload_cost(proxies: &[Proxy; 2], gateways: &mut Gateways) -> Result<[[f64; 2]; 3]> {
    let paths = measure::paths(GROUPS);
    let mut pushes = [pushes(&paths), pushes(&paths)];
    let mut reloaders = [
        Reloader::new(&proxies[0], gateways, MEMBERS[1])?,
        Reloader::new(&proxies[1], gateways, MEMBERS[1])?,
    ];
    let mut sums = [[0.0; 2]; 3];
    for turn in 0..RELOADS {
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for index in order {
            let reload = reloaders[index].measure(gateways)?;
            sums[0][index] += reload.worker_ms;
            sums[1][index] += reload.all_ms;
        }
        for index in order {
            let times = reloaders[index].under_load(gateways, &mut pushes[index], WINDOW)?;
            sums[2][index] += percentile(&times, 99);
        }
    }
    Ok(sums.map(|pair| pair.map(|sum| sum / f64::from(RELOADS))))
}

impl Comparison {
    fn row(&self) -> [String; 5] {
        let of = |index: usize| format!("{:.2}", median(self.rounds.iter().map(|values| values[index])));
        let ratio = Median::of(self.rounds.iter().map(|[this, other]| this / other));
        let ratio = ratio.map_or(String::new(), |ratio| ratio.text(3));
        [self.name.to_owned(), self.rounds.len().to_string(), of(1), of(0), ratio]
    }
}
