//! `make bench`: what a push costs, measured side by side in one run.
//!
//! The machine is shared and noisy, so all variants take turns in short rounds, each with a process of its own, and what
//! counts are ratios within a round. The proxy has the first core, load and gateways the last one. A failed push makes the
//! run invalid.

mod compare;
mod goals;
mod load;
mod measure;
mod proxy;
mod reload;
mod report;
mod rounds;
mod scaling;
mod stats;
mod summary;
mod svg;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Measures what a push through Envoy costs, beside its own balancers and other proxies.
#[derive(Parser)]
struct Args {
    /// What to measure; all when not given.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Rounds in which all variants take turns, the same for each part; as many as fit into a quarter of an hour when
    /// not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Compare only variants of this name; may be given several times. Each then takes part in every round.
    #[arg(long, requires = "part")]
    only: Vec<String>,
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
    proxy::take_last_core()?;
    proxy::allow_many_files()?;
    let measure = |part, ways: fn(_, &[String]) -> _| {
        if wanted(part) { ways(args.rounds, &args.only) } else { Ok(Vec::new()) }
    };
    let ways = measure(Part::Compare, compare::ways)?;
    let parts = measure(Part::Parts, compare::parts)?;
    let growth = if wanted(Part::Growth) { Some(scaling::run(args.rounds)?) } else { None };
    // Only now: of a run in which a push failed, nothing is written.
    if !ways.is_empty() {
        report::write("compare.json", &ways)?;
        report::write_text("compare.svg", &svg::comparison(&ways))?;
    }
    if !parts.is_empty() {
        report::write("parts.json", &parts)?;
    }
    if let Some(growth) = &growth {
        report::write("growth.json", &growth.points)?;
        report::write("reloading.json", &growth.reloading)?;
        report::write_text("growth.svg", &svg::growth(&growth.points))?;
    }
    goals::show(&ways, growth.as_ref());
    Ok(())
}
