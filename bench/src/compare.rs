//! The comparison: every way to spread pushes takes its turn in every round.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pushring_tests::Mode;
use serde::Serialize;

use crate::load::{Gateways, Pushes};
use crate::measure::{self, CONNECTIONS, GROUPS, Sample, median, minimum};
use crate::proxy::Kind::{
    Calls, Haproxy, Lua, Maglev, Mutation, Nginx, Noop, Pushring, RingHash, RoundRobin, Without,
};
use crate::proxy::{Part, Proxy, RouteBy, Variant};
use crate::{report, svg};

const fn variant(name: &'static str, kind: crate::proxy::Kind, members: usize) -> Variant {
    Variant { name, kind, members }
}

const VARIANTS: &[Variant] = &[
    variant("round robin", RoundRobin, 10),
    variant("ring_hash", RingHash, 10),
    variant("ring_hash, 100", RingHash, 100),
    variant("maglev", Maglev, 10),
    variant("header mutation", Mutation, 10),
    variant("Lua", Lua, 10),
    variant("no-op Wasm", Noop, 10),
    variant("no-op Wasm, 100", Noop, 100),
    variant("pushring cluster, 3", Pushring(Mode::Cluster, RouteBy::Group), 3),
    variant("pushring cluster, 10", Pushring(Mode::Cluster, RouteBy::Group), 10),
    variant("pushring cluster, 100", Pushring(Mode::Cluster, RouteBy::Group), 100),
    variant("pushring cluster, path, 3", Pushring(Mode::Cluster, RouteBy::Path), 3),
    variant("pushring cluster, path, 100", Pushring(Mode::Cluster, RouteBy::Path), 100),
    variant("pushring endpoint, 3", Pushring(Mode::Endpoint, RouteBy::Group), 3),
    variant("pushring endpoint, 100", Pushring(Mode::Endpoint, RouteBy::Group), 100),
    variant("pushring endpoint, path, 3", Pushring(Mode::Endpoint, RouteBy::Path), 3),
    variant("pushring endpoint, path, 100", Pushring(Mode::Endpoint, RouteBy::Path), 100),
    variant("pushring redirect, 3", Pushring(Mode::Redirect, RouteBy::Group), 3),
    variant("pushring redirect, 100", Pushring(Mode::Redirect, RouteBy::Group), 100),
    variant("pushring redirect, path, 3", Pushring(Mode::Redirect, RouteBy::Path), 3),
    variant("pushring redirect, path, 100", Pushring(Mode::Redirect, RouteBy::Path), 100),
    variant("nginx", Nginx, 10),
    variant("HAProxy", Haproxy, 10),
];
/// pushring in cluster mode as shipped, and with one part left out.
const PARTS: &[Variant] = &[
    variant("ring_hash", RingHash, 10),
    variant("no-op Wasm", Noop, 10),
    variant("host calls only", Calls, 10),
    variant("as shipped", Pushring(Mode::Cluster, RouteBy::Group), 10),
    variant("no filter", Without(Part::Filter), 10),
    variant("not pruned", Without(Part::Pruning), 10),
    variant("no early removal", Without(Part::EarlyRemoval), 10),
    variant("no buffer", Without(Part::Buffer), 10),
    variant("no mirror route", Without(Part::MirrorRoute), 10),
    variant("no retries", Without(Part::Retries), 10),
    variant("no timeouts", Without(Part::Timeouts), 10),
    variant("no request id", Without(Part::RequestId), 10),
    variant("no x-envoy headers", Without(Part::EnvoyHeaders), 10),
    variant("no router statistics", Without(Part::RouterStatistics), 10),
];
/// Name and bytes of a body.
type Body = (&'static str, usize);
const BODIES: &[Body] = &[("90 B", 90), ("20 KB", 20_000)];
/// What others are compared with, if they are among those measured.
const FLOOR: &str = "no-op Wasm";
const NATIVE: &str = "ring_hash";

/// All samples of one variant with one body, and the numbers over them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) variant: &'static str,
    pub(crate) members: usize,
    pub(crate) body: &'static str,
    pub(crate) cpu_us_min: f64,
    pub(crate) cpu_us_median: f64,
    /// Processor time over that of the no-op filter in the same round: median.
    pub(crate) times_floor: f64,
    /// The same over native `ring_hash`.
    pub(crate) times_ring_hash: f64,
    pub(crate) pushes_per_second_median: f64,
    pub(crate) p50_us_median: f64,
    pub(crate) p99_us_median: f64,
    /// Resident memory of the proxy after the last round.
    pub(crate) memory_bytes: u64,
    pub(crate) rounds: Vec<Sample>,
}

/// All ways to spread pushes.
pub(crate) fn ways(rounds: u32, only: &[String], length: Duration) -> Result<()> {
    let lines = run(VARIANTS, BODIES, rounds, only, length)?;
    report::write("compare.json", &lines)?;
    report::write_text("compare.svg", &svg::comparison(&lines))
}

/// The parts of what ships.
pub(crate) fn parts(rounds: u32, only: &[String], length: Duration) -> Result<()> {
    report::write("parts.json", run(PARTS, BODIES.get(..1).unwrap_or_default(), rounds, only, length)?)
}

fn run(
    all: &'static [Variant],
    bodies: &'static [Body],
    rounds: u32,
    only: &[String],
    length: Duration,
) -> Result<Vec<Line>> {
    let chosen = |variant: &&Variant| only.is_empty() || only.iter().any(|name| name == variant.name);
    let variants: Vec<&Variant> = all.iter().filter(chosen).collect();
    let names: Vec<_> = all.iter().map(|variant| variant.name).collect();
    ensure!(!variants.is_empty(), "--only: found no variant {only:?}, allowed: {names:?}");
    let most = variants.iter().map(|variant| variant.members).max().unwrap_or(0);
    let mut gateways = Gateways::listen(most)?;
    let addresses = gateways.addresses()?;
    let dir = tempfile::tempdir()?;
    let progress = report::progress("starting the proxies", variants.len())?;
    let mut proxies = Vec::new();
    for &variant in &variants {
        let proxy = Proxy::start(variant, &addresses, dir.path());
        proxies.push(proxy.with_context(|| variant.name.to_owned())?);
        progress.inc(1);
    }
    progress.finish_and_clear();

    let progress = report::progress("rounds", variants.len() * bodies.len() * rounds as usize)?;
    let mut samples = vec![Vec::new(); variants.len() * bodies.len()];
    for _ in 0..rounds {
        let turns =
            variants.iter().zip(&proxies).flat_map(|pair| bodies.iter().map(move |body| (pair, body)));
        for (((variant, proxy), &(_, size)), samples) in turns.zip(&mut samples) {
            let header = |push| variant.header(&addresses, push);
            let messages = measure::messages(&measure::paths(GROUPS), size, header);
            let mut pushes = Pushes::new(messages, vec![b'#'; size], variant.status(), CONNECTIONS);
            let sample = measure::sample(proxy, &mut gateways, &mut pushes, length);
            samples.push(sample.with_context(|| variant.name.to_owned())?);
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let mut lines = Vec::new();
    let keys =
        variants.iter().zip(&proxies).flat_map(|pair| bodies.iter().map(move |(body, _)| (pair, body)));
    for (((variant, proxy), body), rounds) in keys.zip(samples) {
        lines.push(line(variant, body, proxy.memory()?, rounds));
    }
    ratios(&mut lines);
    show(&lines);
    Ok(lines)
}

fn line(variant: &Variant, body: &'static str, memory_bytes: u64, rounds: Vec<Sample>) -> Line {
    let over = |value: fn(&Sample) -> f64| median(rounds.iter().map(value));
    Line {
        variant: variant.name,
        members: variant.members,
        body,
        cpu_us_min: minimum(rounds.iter().map(|s| s.cpu_us)),
        cpu_us_median: over(|s| s.cpu_us),
        times_floor: f64::NAN,
        times_ring_hash: f64::NAN,
        pushes_per_second_median: over(|s| s.pushes_per_second),
        p50_us_median: over(|s| s.p50_us),
        p99_us_median: over(|s| s.p99_us),
        memory_bytes,
        rounds,
    }
}

/// Each round's ratio, then the median: what was slow in a round was slow for all.
fn ratios(lines: &mut [Line]) {
    let all = lines.to_vec();
    let ratio = |line: &Line, to: &str| {
        // With 100 members the floor is that with 100 members.
        let hundred = format!("{to}, {}", line.members);
        let of = |name: &str| all.iter().find(|other| other.variant == name && other.body == line.body);
        let Some(base) = of(&hundred).or_else(|| of(to)) else { return f64::NAN };
        median(line.rounds.iter().zip(&base.rounds).map(|(own, base)| own.cpu_us / base.cpu_us))
    };
    for line in lines {
        (line.times_floor, line.times_ring_hash) = (ratio(line, FLOOR), ratio(line, NATIVE));
    }
}

fn show(lines: &[Line]) {
    let header = [
        "push",
        "body",
        "CPU us min",
        "median",
        "x no-op",
        "x ring_hash",
        "pushes/s",
        "p50 us",
        "p99 us",
        "MB",
    ];
    let mut table = report::table(&header);
    for line in lines {
        table.add_row([
            line.variant.to_owned(),
            line.body.to_owned(),
            format!("{:.1}", line.cpu_us_min),
            format!("{:.1}", line.cpu_us_median),
            format!("{:.2}", line.times_floor),
            format!("{:.2}", line.times_ring_hash),
            format!("{:.0}", line.pushes_per_second_median),
            format!("{:.0}", line.p50_us_median),
            format!("{:.0}", line.p99_us_median),
            format!("{:.0}", line.memory_bytes as f64 / 1e6),
        ]);
    }
    println!("Processor time of the proxy for a push; ratios are of the same round, median\n{table}\n");
}
