//! `make bench-index`: the goals of metric-index, measured in one run.
//!
//! Costs are CPU time of the server from /proc/PID/stat, so that other work on the machine disturbs them little. Where a goal is
//! a speed, it is wall time, which is pessimistic on a busy machine; the CPU time is in the details. The exit code says whether
//! everything could be measured, not whether the goals are met.

mod distributed;
mod embedded;
mod forward;
mod report;
mod requests;
mod sender;
mod sink;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use pushring_bench::progress;

use report::Report;
use requests::{Requests, Version};

/// Measure metric-index, the build that METRIC_INDEX names
#[derive(Parser)]
struct Args {
    /// Number of series, a multiple of 100,000
    #[arg(long, default_value_t = 1_000_000)]
    series: usize,
    /// Measure this part alone, and write no results
    #[arg(long)]
    part: Option<Part>,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Part {
    /// One process with SQLite
    Embedded,
    /// In line, next to vmagent
    Forward,
    /// Kafka and MariaDB
    Distributed,
}

fn main() -> Result<()> {
    let Args { series, part } = Args::parse();
    ensure!(
        series > 100_000 && series.is_multiple_of(100_000),
        "--series: found {series}; expected 200000, 300000, …"
    );
    let bar = progress("generate requests", 7);
    let first = Requests::generate(Version::V1, series)?;
    let second = Requests::generate(Version::V2, series)?;
    bar.inc(1);
    let mut report = Report::default();
    let dir = tempfile::tempdir()?;
    let is_part = |wanted| part.is_none_or(|part| part == wanted);
    if is_part(Part::Embedded) {
        embedded::measure(dir.path(), &first, &second, &mut report, &bar)?;
    }
    if is_part(Part::Forward) {
        bar.set_message("in line, next to vmagent");
        forward::measure(dir.path(), &first, &mut report)?;
        bar.inc(1);
    }
    if is_part(Part::Distributed) {
        bar.set_message("new series into MariaDB");
        distributed::measure(dir.path(), &first, &mut report)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!(
        "{series} series, {} bytes each in remote write 1.0 and {} in 2.0 before compression\n{report}",
        first.plain / series,
        second.plain / series
    );
    if part.is_none() { report.write() } else { Ok(()) }
}
