//! `make abuse`: sends everything hostile to the shipped Envoy and counts what happens to honest pushes. The exit code is 1
//! if a promise is broken, 130 after a second Ctrl-C.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use pushring_harness::abuse::{Settings, run};
use pushring_harness::program::{Run, stop_by_signal};

/// Number of violations that are printed.
const SHOWN: usize = 20;

/// Sends hostile inputs in random order to Envoy in front of real Pushgateways while honest clients push
#[derive(Parser)]
#[command(name = "pushring-abuse")]
struct Arguments {
    /// Minutes in total
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Number of hostile inputs for each mode, in place of a time
    #[arg(long)]
    rounds: Option<usize>,
    #[command(flatten)]
    run: Run,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let stop = stop_by_signal()?;
    let (modes, seed) = (arguments.run.modes(), arguments.run.seed());
    let share = Duration::try_from_secs_f64(arguments.minutes * 60.0 / modes.len() as f64)?;
    let time = arguments.rounds.is_none().then_some(share);
    let mut broken = false;
    for mode in modes {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let settings = Settings { mode, seed, rounds: arguments.rounds, time };
        let summary = run(settings, &stop, |line| println!("{mode}, {line}"))?;
        println!("\n{summary}\n");
        for violation in summary.violations.iter().take(SHOWN) {
            println!("{violation}");
        }
        if !summary.violations.is_empty() {
            broken = true;
            println!("logs: {}", summary.logs.display());
        }
    }
    Ok(ExitCode::from(u8::from(broken)))
}
