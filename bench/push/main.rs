//! `make bench`: the cost of a push through pushring and through other proxies, measured in one run.
//!
//! The machine is shared and noisy, so all proxies of a round are measured in turn in short slices, and the results are
//! ratios within a round. Proxies run on the first core; load and gateways share the last one. A failed push invalidates
//! the run.

mod against;
mod compare;
mod goals;
mod load;
mod measure;
mod proxy;
mod reload;
mod rounds;
mod scaling;
mod soak;
mod stats;
mod summary;
mod wrk;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use pushring_bench::write;

/// Measures the cost of a push through pushring, Envoy's own policies and other proxies.
#[derive(Parser)]
struct Args {
    /// Run only this part; repeatable.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Number of rounds. By default each part has as many as a run of 15 minutes allows.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Run only the variant with this name (compare, ablation, options, replicas); repeatable.
    #[arg(long, requires = "part")]
    only: Vec<String>,
    /// Compare the filter with another build of it: the path of its Wasm module.
    #[arg(long, value_name = "MODULE", conflicts_with = "part")]
    against: Option<PathBuf>,
    /// Push that many times through the dynamic module, and fail if the memory of Envoy grows.
    #[arg(long, value_name = "PUSHES", conflicts_with_all = ["part", "against"])]
    soak: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Pushes through pushring, Envoy's own policies and other proxies.
    Compare,
    /// Pushes through the shipped cluster mode with one part left out at a time.
    Ablation,
    /// Pushes through the shipped files with one block of `examples/observability/` at a time.
    Options,
    /// Pushes through the shipped files with each setting `mirror`.
    Replicas,
    /// Pushes and reloads by members, labels and length of the path; latency during reloads.
    Scaling,
    /// Pushes with wrk as the load generator.
    Wrk,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let wanted = |part| args.part.is_empty() || args.part.contains(&part);
    proxy::take_last_core()?;
    proxy::allow_many_files()?;
    if let Some(module) = &args.against {
        return against::run(module, args.rounds);
    }
    if let Some(pushes) = args.soak {
        return soak::run(pushes);
    }
    let mut lines = Vec::new();
    let mut scaling = None;
    // Results are written after their part has ended, so a run with a failed push writes none.
    if wanted(Part::Compare) {
        lines = compare::variants(args.rounds, &args.only)?;
        write("compare", &lines)?;
    }
    if wanted(Part::Ablation) {
        write("ablation", &compare::ablation(args.rounds, &args.only)?)?;
    }
    if wanted(Part::Options) {
        write("options", &compare::options(args.rounds, &args.only)?)?;
    }
    if wanted(Part::Replicas) {
        write("replicas", &compare::replicas(args.rounds, &args.only)?)?;
    }
    if wanted(Part::Scaling) {
        let measured = scaling::run(args.rounds)?;
        write("scaling", &measured.points)?;
        write("reloading", std::slice::from_ref(&measured.reloading))?;
        scaling = Some(measured);
    }
    if wanted(Part::Wrk) {
        write("wrk", &wrk::run(args.rounds)?)?;
    }
    goals::show(&lines, scaling.as_ref());
    Ok(())
}
