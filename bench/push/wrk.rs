//! The most important comparison again, with wrk as the load generator instead of the one in `load/`.

use std::fs::{self, File};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pushring_bench::{progress, table};
use pushring_harness::{Mode, tools};
use serde::Serialize;

use crate::load::Gateways;
use crate::measure::pushes;
use crate::proxy::{self, Kind, RouteBy, Variant, made};
use crate::rounds::rotate;
use crate::stats::{Median, median};

const VARIANTS: [Variant; 3] = [
    Variant { name: "ring_hash", kind: Kind::Policy("RING_HASH"), members: 10 },
    Variant { name: "Lua", kind: Kind::Lua(RouteBy::Group), members: 10 },
    Variant { name: "pushring cluster", kind: Kind::Pushring(Mode::Cluster, RouteBy::Group), members: 10 },
];

/// The results of one variant.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    variant: &'static str,
    requests_per_second: f64,
    cpu_us: f64,
    /// CPU time over `ring_hash` in the same round.
    times_ring_hash: Option<Median>,
}

/// Runs wrk for 3 seconds per variant and round: 16 connections, 90 bytes, 10 members.
pub(crate) fn run(rounds: Option<u32>) -> Result<Vec<Row>> {
    let rounds = rounds.unwrap_or(8);
    let mut gateways = Gateways::listen(10)?;
    let mut samples = VARIANTS.map(|variant| (variant, Vec::new()));
    let progress = progress("wrk", VARIANTS.len() * rounds as usize);
    for round in 0..rounds {
        let mut turns: Vec<_> = samples.iter_mut().collect();
        rotate(&mut turns, round);
        for (variant, samples) in turns {
            samples.push(measure(variant, &mut gateways).context(variant.name)?);
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let base = samples[0].1.clone();
    let rows = samples.iter().map(|(variant, samples)| Row {
        variant: variant.name,
        requests_per_second: median(samples.iter().map(|[rate, _]| *rate)),
        cpu_us: median(samples.iter().map(|[_, cpu]| *cpu)),
        times_ring_hash: Median::of(samples.iter().zip(&base).map(|([_, own], [_, base])| own / base)),
    });
    let rows: Vec<Row> = rows.collect();
    let mut table = table(&["wrk, push of 90 B", "requests/s", "CPU us", "x ring_hash"]);
    for row in &rows {
        let ratio = row.times_ring_hash.map_or(String::new(), |ratio| ratio.text(3));
        let numbers = [format!("{:.0}", row.requests_per_second), format!("{:.1}", row.cpu_us), ratio];
        table.add_row([vec![row.variant.to_owned()], numbers.to_vec()].concat());
    }
    println!("{table}\n");
    Ok(rows)
}

/// Returns requests per second, and CPU time of the proxy per request in microseconds.
fn measure(variant: &Variant, gateways: &mut Gateways) -> Result<[f64; 2]> {
    let dir = tempfile::tempdir()?;
    let proxy = proxy::start(variant, &gateways.addresses()?, dir.path())?;
    let output = dir.path().join("wrk.txt");
    let mut command = Command::new(made("tools/debian/usr/bin/wrk"));
    command.env("LD_LIBRARY_PATH", made("tools/debian/usr/lib/x86_64-linux-gnu"));
    command.args(["--threads", "1", "--connections", "16", "--duration", "3s", "--script"]);
    command.arg(tools::repository().join("bench/lua/wrk.lua")).arg(format!("http://{}", proxy.push));
    let before = proxy.cpu()?;
    let mut wrk = command.stdout(File::create(&output)?).spawn().context("wrk")?;
    let mut idle = pushes(&[]);
    while wrk.try_wait()?.is_none() {
        gateways.turn(&mut idle, false)?;
    }
    let cpu = proxy.cpu()? - before;
    let text = fs::read_to_string(&output)?;
    ensure!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "wrk reports failures:\n{text}");
    let number = |line: &str| line.split_whitespace().find_map(|word| word.parse::<f64>().ok());
    let requests = text.lines().find(|line| line.contains(" requests in ")).and_then(number);
    let rate = text.lines().find(|line| line.starts_with("Requests/sec:")).and_then(number);
    let (requests, rate) =
        requests.zip(rate).with_context(|| format!("unexpected output of wrk:\n{text}"))?;
    Ok([rate, cpu as f64 / 1000.0 / requests])
}
