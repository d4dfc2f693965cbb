//! `make bench-sweep`: how long one `pushring sweep` takes, and how much memory.
//!
//! Fifty gateways do not fit on a small machine, so they are stand-ins: one process that answers as Pushgateways do.
//! Then five real ones with as many groups. The command is the one that ships, built for release; its time is that of
//! the whole process, its memory the most that it had resident.

mod fleet;
mod real;
mod standin;

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use fleet::{Change, Fleet, GROUPS};

/// Gateways of a kind: how many, and how often each case is measured; the slowest run is shown.
const STAND_INS: (usize, usize) = (50, 5);
const REAL: (usize, usize) = (5, 2);

/// Gateways that can be filled.
trait Gateways {
    fn addresses(&self) -> Vec<SocketAddr>;
    fn fill(&self, fleet: &Fleet) -> Result<()>;
}

/// What one run of the command took.
struct Cost {
    time: Duration,
    memory_mb: f64,
    deleted: usize,
}

fn main() -> Result<()> {
    let command = std::env::args().nth(1).context("usage: sweep PATH-OF-pushring")?;
    let bar = ProgressBar::new(((STAND_INS.1 + REAL.1) * Change::ALL.len()) as u64);
    bar.set_style(ProgressStyle::with_template("{msg:40} [{bar:30}] {pos}/{len} {eta}")?);
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(["gateways", "groups", "change", "deleted", "s", "MB"]);
    for (kind, (members, runs)) in [("stand-ins", STAND_INS), ("real", REAL)] {
        for change in Change::ALL {
            bar.set_message(format!("{members} {kind}, {}", change.name()));
            let mut slowest: Option<Cost> = None;
            for _ in 0..runs {
                let cost = if kind == "real" {
                    measure(&command, &real::Real::start(members)?, change)?
                } else {
                    measure(&command, &standin::StandIns::start(members)?, change)?
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
    println!("One sweep, the slowest of {} and {} runs (goals: 10 s, 300 MB)\n{table}", STAND_INS.1, REAL.1);
    Ok(())
}

/// Sweeps once. Everything that moved must be gone, or the measurement means nothing.
fn measure(command: &str, gateways: &impl Gateways, change: Change) -> Result<Cost> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("pushring.json");
    let fleet = Fleet::new(&gateways.addresses(), change)?;
    gateways.fill(&fleet)?;
    std::fs::write(&config, fleet.config.to_string())?;
    let began = Instant::now();
    let (output, memory_mb) = run(command, &config)?;
    let time = began.elapsed();
    let report: Value = serde_json::from_slice(&output).context("the report of the sweep")?;
    ensure!(report["in_place"] == GROUPS, "in place: {}, wanted {GROUPS}", report["in_place"]);
    let copies = report["misplaced"].as_array().context("misplaced")?;
    let deleted = copies.iter().filter(|copy| copy["result"] == "deleted").count();
    ensure!(deleted == fleet.moved(), "{deleted} copies were deleted, wanted {}", fleet.moved());
    Ok(Cost { time, memory_mb, deleted })
}

/// Its output, and the most memory that it had, in MB.
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
    let memory = most_memory(&mut child)?;
    let output = reader.join().ok().context("the output was not read")??;
    Ok((output, memory))
}

/// Asks the system until the process ends; it keeps the most there was.
fn most_memory(child: &mut Child) -> Result<f64> {
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
