//! One process with SQLite: new series, memory, known series, queries.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use pushring_harness::MetricIndex;
use pushring_harness::http::{Client, encode};
use pushring_harness::process::memory;
use serde_json::json;

use crate::report::{Goal, Report, micros};
use crate::requests::{BATCH, Requests, Version};
use crate::sender::{fill, replay};

/// Series that are written before memory is compared: the caches of SQLite are full then.
const WARM: usize = 100_000;
/// Rounds with known series.
const ROUNDS: usize = 5;
/// Requests of each pair of matchers, of which the fastest counts: the machine has other work.
const QUERIES: usize = 5;
/// Pairs of matchers: few series of two long lists, a long list with a short one, a regular expression.
const MATCHERS: [&str; 3] = [
    r#"{namespace="team-07",status="500"}"#,
    r#"{region="region-0",pod=~"application-17-.*"}"#,
    r#"{__name__="application_http_server_requests_042_total",node="ip-10-0-1-142.example.internal"}"#,
];

/// Measures with one process; both lists of requests have the same series.
pub(crate) fn measure(
    dir: &Path,
    first: &Requests,
    second: &Requests,
    report: &mut Report,
    bar: &ProgressBar,
) -> Result<()> {
    let mut index =
        MetricIndex::start(dir, "embedded", &json!({"metric_store": {"cache": {"default_expire": 86_400}}}))?;
    let ((warm, rest), series) = (first.bodies.split_at(WARM / BATCH), first.series());

    bar.set_message("new series into SQLite");
    let (began, cpu) = (Instant::now(), index.process().cpu_time()?);
    fill(&index, first.version, warm)?;
    let before = memory(index.process().id(), "RssAnon")?;
    let more = fill(&index, first.version, rest)?;
    let (time, cpu) = (began.elapsed(), index.process().cpu_time()? - cpu);
    let memory = (memory(index.process().id(), "RssAnon")? as f64 - before as f64) / more as f64;
    let found = index.metric("metric_index_new_series_total")?;
    ensure!(found == series as f64, "{found} new series, expected {series}");
    bar.inc(1);
    let per_series = micros(cpu, series);
    let file = file_bytes(dir)? / series as u64;
    report.goal(
        "new series a second into SQLite",
        Goal::AtLeast(10_000.0),
        series as f64 / time.as_secs_f64(),
        format!(
            "wall time of this machine; {per_series:.1} µs of CPU a series; {file} bytes on disk a series"
        ),
    );
    report.goal(
        "bytes of memory a known series",
        Goal::AtMost(120.0),
        memory,
        format!("growth of anonymous memory from {WARM} series to {series}"),
    );

    for (requests, goal) in [(first, 3e6), (second, 2e6)] {
        let name = if requests.version == Version::V1 { "1.0" } else { "2.0" };
        bar.set_message(format!("known series, remote write {name}"));
        // The names of the series in this version may be new to the set.
        replay(index.address, requests)?;
        let before = index.metric("metric_index_acked_total")?;
        let mut best = Duration::MAX;
        let cpu = index.process().cpu_time()?;
        for _ in 0..ROUNDS {
            let cpu = index.process().cpu_time()?;
            replay(index.address, requests)?;
            best = best.min(index.process().cpu_time()? - cpu);
        }
        let cpu = index.process().cpu_time()? - cpu;
        ensure!(index.metric("metric_index_acked_total")? == before, "a series was not known");
        bar.inc(1);
        let mean = micros(cpu, series * ROUNDS);
        report.goal(
            &format!("known series a second and core, remote write {name}"),
            Goal::AtLeast(goal),
            1e6 / mean,
            format!("{mean:.3} µs of CPU a series, best round {:.3}", micros(best, series)),
        );
    }
    queries(&mut index, report, bar)
}

fn queries(index: &mut MetricIndex, report: &mut Report, bar: &ProgressBar) -> Result<()> {
    bar.set_message("queries");
    let client = Client::new(index.address)?;
    for matchers in MATCHERS {
        let path = format!("/api/v1/series?limit=1000&match[]={}", encode(matchers));
        let (mut best, mut found) = (Duration::MAX, 0);
        let cpu = index.process().cpu_time()?;
        for _ in 0..QUERIES {
            let began = Instant::now();
            let answer = client.get(&path)?;
            best = best.min(began.elapsed());
            ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
            found = answer.json()?["data"].as_array().context("no data")?.len();
        }
        let cpu = micros(index.process().cpu_time()? - cpu, QUERIES) / 1e3;
        ensure!(found > 0, "{matchers} has no series");
        report.goal(
            "milliseconds of a query with two matchers",
            Goal::AtMost(100.0),
            best.as_secs_f64() * 1e3,
            format!("{matchers}: page of {found}, {cpu:.0} ms of CPU; fastest of {QUERIES}"),
        );
    }
    bar.inc(1);
    Ok(())
}

/// Returns the size of the catalogue.
fn file_bytes(dir: &Path) -> Result<u64> {
    Ok(std::fs::metadata(dir.join("embedded-data/catalogue.sqlite"))?.len())
}
