//! `make chaos-replicas`: kills gateways and changes members of a fleet with two copies of every group and checks every scrape.
//! Prints one line per mode; the exit code is 1 if a promise was broken, 130 after a second Ctrl-C.

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::Result;
use clap::Parser;
use pushring_harness::chaos::replicas::{Settings, run};
use pushring_harness::program::{Run, stop_by_signal};

/// Number of broken promises that are printed.
const SHOWN: usize = 20;

/// Kills gateways and changes members while clients push and `pushring serve` is scraped
#[derive(Parser)]
#[command(name = "pushring-chaos-replicas")]
struct Arguments {
    /// Number of gateways that are killed, for each mode
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// Number of members that join or leave, for each mode
    #[arg(long, default_value_t = 100)]
    changes: usize,
    #[command(flatten)]
    run: Run,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let stop = stop_by_signal()?;
    let (modes, seed) = (arguments.run.modes(), arguments.run.seed());
    let mut lines = Vec::new();
    let mut broken = false;
    for mode in modes {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let settings = Settings { mode, kills: arguments.kills, changes: arguments.changes, seed };
        let summary = run(settings, &stop, |line| println!("{mode} mode: {line}"))?;
        println!("{}", summary.details());
        summary.faults.iter().take(SHOWN).for_each(|fault| println!("{fault}"));
        if !summary.is_clean() {
            broken = true;
            println!("logs: {}", summary.logs.display());
        }
        lines.push(summary.to_string());
    }
    lines.iter().for_each(|line| println!("{line}"));
    Ok(ExitCode::from(u8::from(broken)))
}
