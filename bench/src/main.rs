//! `make bench`: what a push costs, measured side by side in one run.
//!
//! The machine is shared and noisy, so all variants take turns in short rounds, and what counts are ratios within a
//! round. The proxy has the first core, load and gateways the last one. A failed push makes the run invalid.

mod compare;
mod growth;
mod load;
mod measure;
mod proxy;
mod report;
mod svg;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Measures what a push through Envoy costs, beside its own balancers and other proxies.
#[derive(Parser)]
struct Args {
    /// What to measure; all when not given.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Rounds in which all variants take turns.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Compare only variants of this name; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Length of one measurement.
    #[arg(long, default_value_t = 400)]
    milliseconds: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A push through pushring, Envoy's own policies and other proxies.
    Compare,
    /// What each part of the shipped cluster mode costs: pushes with one left out.
    Parts,
    /// Cost and reload against members, labels and length of a path; pushes during reloads.
    Growth,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let wanted = |part| args.part.is_empty() || args.part.contains(&part);
    let length = Duration::from_millis(args.milliseconds);
    proxy::take_last_core()?;
    proxy::allow_many_files()?;
    if wanted(Part::Compare) {
        compare::ways(args.rounds, &args.only, length)?;
    }
    if wanted(Part::Parts) {
        compare::parts(args.rounds, &args.only, length)?;
    }
    if wanted(Part::Growth) {
        growth::run(args.rounds, length)?;
    }
    Ok(())
}
