//! `make chaos`: changes members under load and checks that no push is lost. Prints one line per mode; the exit code
//! is 1 if a push was lost.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use pushring_harness::chaos::{Settings, Source, run};
use pushring_harness::network;
use pushring_harness::program::Run;

/// Number of lost pushes that are printed.
const SHOWN: usize = 20;

/// Changes members in every way, under load, through a registry, Envoy and Pushgateways
#[derive(Parser)]
#[command(name = "pushring-chaos")]
struct Arguments {
    /// Number of changes for each mode
    #[arg(long, default_value_t = 1000)]
    changes: usize,
    /// Where the members come from
    #[arg(long, value_enum, default_value_t)]
    source: Source,
    #[command(flatten)]
    run: Run,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.source == Source::Kubernetes {
        network::enter()?;
    }
    let (modes, seed) = (arguments.run.modes(), arguments.run.seed());
    let mut lines = Vec::new();
    let mut lost = false;
    for mode in modes {
        let settings = Settings { source: arguments.source, mode, changes: arguments.changes, seed };
        let summary = run(settings, |line| println!("{line}"))?;
        println!("{}", summary.details());
        for loss in summary.lost.iter().take(SHOWN) {
            println!("lost: {loss}");
        }
        if !summary.lost.is_empty() {
            lost = true;
            println!("Envoy's log: {}", summary.envoy_log.display());
        }
        lines.push(summary.to_string());
    }
    lines.iter().for_each(|line| println!("{line}"));
    Ok(ExitCode::from(u8::from(lost)))
}
