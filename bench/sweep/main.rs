//! `make bench-sweep`: the time and the memory of one `pushring sweep`.
//!
//! Fifty real gateways do not fit on a small machine, so one process simulates them; five real gateways with the same
//! number of groups follow. The command is the release build. Its time includes the start of the process, its memory is
//! the peak of its resident memory.

mod fleet;
mod real;
mod simulated;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pushring_bench::{progress, table};
use serde_json::Value;

use fleet::{Change, Fleet, GROUPS, Gateways};

/// Number of gateways, and number of runs of each case, of which the slowest is reported.
const SIMULATED: (usize, usize) = (50, 5);
const REAL: (usize, usize) = (5, 2);

/// The cost of one run of the command.
struct Cost {
    time: Duration,
    memory_mb: f64,
    deleted: usize,
}

fn main() -> Result<()> {
    let command = std::env::args().nth(1).context("usage: sweep PATH, the path of the pushring command")?;
    let bar = progress("sweep", (SIMULATED.1 + REAL.1) * Change::ALL.len());
    let mut table = table(&["gateways", "groups", "change", "deleted", "s", "MB"]);
    for (kind, (members, runs)) in [("simulated", SIMULATED), ("real", REAL)] {
        for change in Change::ALL {
            bar.set_message(format!("{members} {kind}, {}", change.name()));
            let mut slowest: Option<Cost> = None;
            for _ in 0..runs {
                let cost = if kind == "real" {
                    measure(&command, &real::Real::start(members)?, change)?
                } else {
                    measure(&command, &simulated::Simulated::start(members)?, change)?
                };
                if slowest.as_ref().is_none_or(|known| cost.time > known.time) {
                    slowest = Some(cost);
                }
                bar.inc(1);
            }
            let Some(cost) = slowest else { continue };
            let seconds = format!("{:.2}", cost.time.as_secs_f64());
            let memory = format!("{:.0}", cost.memory_mb);
            let (members, deleted) = (format!("{members} {kind}"), cost.deleted.to_string());
            table.add_row([&members, &GROUPS.to_string(), change.name(), &deleted, &seconds, &memory]);
        }
    }
    bar.finish_and_clear();
    println!(
        "One sweep, the slowest of {} runs (simulated) and {} runs (real); goals: 10 s, 300 MB\n{table}",
        SIMULATED.1, REAL.1
    );
    Ok(())
}

/// Measures one sweep, which must delete every stale copy.
fn measure(command: &str, gateways: &impl Gateways, change: Change) -> Result<Cost> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("pushring.json");
    let fleet = Fleet::new(&gateways.addresses(), change)?;
    gateways.fill(&fleet)?;
    std::fs::write(&config, fleet.config.to_string())?;
    let began = Instant::now();
    let (output, memory_mb) = run(command, &config)?;
    let time = began.elapsed();
    let report: Value = serde_json::from_slice(&output).context("the output of the sweep is not JSON")?;
    ensure!(report["in_place"] == GROUPS, "found {} groups in place, expected {GROUPS}", report["in_place"]);
    let copies = report["misplaced"].as_array().context("the output has no list `misplaced`")?;
    let deleted = copies.iter().filter(|copy| copy["result"] == "deleted").count();
    ensure!(deleted == fleet.moved(), "the sweep deleted {deleted} copies, expected {}", fleet.moved());
    Ok(Cost { time, memory_mb, deleted })
}

/// Runs the command; returns its output and its peak memory in MB.
fn run(command: &str, config: &Path) -> Result<(Vec<u8>, f64)> {
    let mut child = Command::new(command)
        .args(["sweep", "--settle", "0s", "--output", "json", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdout = child.stdout.take().context("no standard output")?;
    let reader = thread::spawn(move || {
        let mut output = Vec::new();
        stdout.read_to_end(&mut output).map(|_| output)
    });
    let memory = peak_memory(&mut child)?;
    let output = reader.join().ok().context("the reader panicked")??;
    Ok((output, memory))
}

/// Polls the peak of the resident memory until the process ends.
fn peak_memory(child: &mut Child) -> Result<f64> {
    let path = format!("/proc/{}/status", child.id());
    let mut kilobytes = 0.0;
    while child.try_wait()?.is_none() {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        kilobytes = most.and_then(|most| most.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(kilobytes);
        thread::sleep(Duration::from_millis(2));
    }
    Ok(kilobytes / 1024.0)
}
