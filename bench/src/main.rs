//! `make bench`: how evenly a ring spreads, and what a decision costs.
//!
//! Costs are ratios to a baseline measured in the same run, in interleaved rounds, because absolute times of
//! a shared machine say little. Shares are exact: they are read from the ring.

use std::hint::black_box;
use std::time::{Duration, Instant};

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use pushring_ring::{Member, Placement, Ring, hash};
use pushring_router::{Request, Router};

/// Fleets of different addresses for each size; their mean is shown.
const FLEETS: usize = 40;
/// Interleaved rounds; the median of their ratios is shown.
const ROUNDS: usize = 200;
const CALLS_PER_ROUND: usize = 2_000;

fn main() {
    println!("Largest share of a member, relative to the mean ({FLEETS} fleets)\n{}\n", spread());
    println!("Cost of one decision, relative to a hash of the raw path and a ring lookup\n{}\n", decisions());
    println!("Building a ring (native; this machine, this run)\n{}", builds());
}

fn spread() -> Table {
    let mut table = table(&["members", "ring 1024", "ring 128", "dynamic-sharding"]);
    for size in [2, 3, 5, 10, 30, 100] {
        let placements =
            [Placement::Ring { points: 1024 }, Placement::Ring { points: 128 }, Placement::DynamicSharding];
        let row = placements.map(|placement| format!("{:.3}", mean_of_largest(placement, size)));
        table.add_row([vec![size.to_string()], row.to_vec()].concat());
    }
    table
}

fn mean_of_largest(placement: Placement, size: usize) -> f64 {
    let largest = |fleet| build(placement, &names(fleet, size)).shares().into_iter().fold(0.0, f64::max);
    (0..FLEETS).map(largest).sum::<f64>() * size as f64 / FLEETS as f64
}

fn decisions() -> Table {
    let cluster = router("");
    let endpoint = router(r#","mode":"endpoint""#);
    let original = router(r#","placement":{"type":"dynamic-sharding"},"route_by":"path""#);
    let cases: [(&str, &Router, &str); 7] = [
        ("job alone", &cluster, "/metrics/job/backup"),
        ("three labels", &cluster, "/metrics/job/backup/instance/db1.example.org/shard/7/az/eu-1"),
        (
            "three labels, endpoint mode",
            &endpoint,
            "/metrics/job/backup/instance/db1.example.org/shard/7/az/eu-1",
        ),
        ("percent-encoded", &cluster, "/metrics/job/nightly%20backup/instance/db1"),
        ("base64", &cluster, "/metrics/job@base64/YmFja3Vw/instance@base64/ZGIx"),
        ("as dynamic-sharding", &original, "/metrics/job/backup/instance/db1.example.org"),
        ("not a push", &cluster, "/api/v1/metrics"),
    ];
    let ring = cluster.ring();
    let mut table = table(&["request", "times the baseline", "ns"]);
    for (name, router, path) in cases {
        let (mut ratios, mut times) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let base = time(|| black_box(ring.owner(black_box(path.as_bytes()))).is_some());
            let request = Request { method: b"PUT", path: path.as_bytes(), accept: None };
            let ours = time(|| {
                matches!(black_box(router.decide(black_box(request))), pushring_router::Decision::Route(_))
            });
            ratios.push(ours.as_secs_f64() / base.as_secs_f64());
            times.push(ours.as_nanos() as f64 / CALLS_PER_ROUND as f64);
        }
        table.add_row([name.to_owned(), format!("{:.1}", median(ratios)), format!("{:.0}", median(times))]);
    }
    table
}

fn builds() -> Table {
    let mut table = table(&["members", "points", "ms", "times a sort of as many numbers"]);
    for size in [3, 100, 1000] {
        let names = names(0, size);
        let (mut ratios, mut times) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let mut numbers: Vec<u64> = (0..size as u64 * 1024).map(|i| hash::fmix64(i + 1)).collect();
            let sort = once(|| numbers.sort_unstable());
            let ours = once(|| drop(black_box(build(Placement::Ring { points: 1024 }, &names))));
            ratios.push(ours.as_secs_f64() / sort.as_secs_f64());
            times.push(ours.as_secs_f64() * 1000.0);
        }
        let points = (size * 1024).to_string();
        table.add_row([
            size.to_string(),
            points,
            format!("{:.1}", median(times)),
            format!("{:.1}", median(ratios)),
        ]);
    }
    table
}

fn names(fleet: usize, size: usize) -> Vec<String> {
    (0..size).map(|i| format!("10.{fleet}.{}.{}:9091", i / 250, i % 250 + 1)).collect()
}

fn build(placement: Placement, names: &[String]) -> Ring {
    let members: Vec<_> = names.iter().map(|name| Member { name, weight: 1 }).collect();
    Ring::build(placement, &members).expect("within the limits")
}

fn router(settings: &str) -> Router {
    let members: Vec<_> = names(0, 10).iter().map(|name| format!("{name:?}")).collect();
    let json = format!(r#"{{"members":[{}]{settings}}}"#, members.join(","));
    Router::parse(json.as_bytes()).expect("a valid configuration")
}

fn time(mut call: impl FnMut() -> bool) -> Duration {
    once(|| {
        for _ in 0..CALLS_PER_ROUND {
            black_box(call());
        }
    })
}

fn once(call: impl FnOnce()) -> Duration {
    let start = Instant::now();
    call();
    start.elapsed()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    table
}
