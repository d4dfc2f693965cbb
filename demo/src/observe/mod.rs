//! `make observe`: a fleet with everything that watches it, jobs that push, and a story of faults with their alerts.

mod alerts;
mod config;
mod gateway;
mod ingress;
mod jobs;
mod ports;
mod running;
mod store;
mod story;
mod watchers;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pushring_harness::{Mode, tools};

pub(crate) use self::jobs::Jobs;
use self::running::{Ended, Running};
use self::store::StoreKind;
use crate::screen;
use crate::state::State;

/// A fleet with everything that watches it, and a story of faults
#[derive(Debug, clap::Args)]
pub(crate) struct ObserveOptions {
    /// Where the gateways are registered
    #[arg(long, value_enum, default_value_t = StoreKind::Consul)]
    source: StoreKind,
    /// How Envoy routes a push to its owner: cluster or endpoint
    #[arg(long, value_enum, default_value_t = Mode::Endpoint)]
    mode: Mode,
    /// First port; the others follow it. 0: any free ports
    #[arg(long, default_value_t = 21_090, value_parser = clap::value_parser!(u16).range(..=65_000))]
    port: u16,
    /// Folder for all files [default: target/observe]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Divides the times of monitoring/, so that an alert that waits five minutes fires after 30 seconds
    #[arg(long, default_value_t = 10, value_name = "1..60", value_parser = clap::value_parser!(u64).range(1..=60))]
    speed: u64,
    /// End after this time instead of at Ctrl-C
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// Runs until `stop` is set, or the time is over.
///
/// # Errors
/// If a part does not start, with its name and its log.
pub(crate) fn run(options: &ObserveOptions, stop: Arc<AtomicBool>) -> Result<()> {
    ensure!(
        options.mode != Mode::Redirect,
        "--mode: found redirect, allowed cluster or endpoint: with redirect, pushes pass no Envoy"
    );
    let dir = options.dir.clone().unwrap_or_else(|| tools::repository().join("target/observe"));
    let state = State::open(&dir)?;
    let end = options.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let outcome = watch(options, &state, stop, end);
    // It names servers that have ended now.
    let _ = fs::remove_file(state.dir.join(running::WHERE));
    if outcome.as_ref().is_err_and(|error| !error.is::<Ended>()) {
        return outcome;
    }
    screen::line(format_args!("\nStopped: all processes have ended. Logs: {}", screen::short(&state.dir)));
    Ok(())
}

fn watch(options: &ObserveOptions, state: &State, stop: Arc<AtomicBool>, end: Option<Instant>) -> Result<()> {
    let mut running = Running::start(options, &state.dir, stop, end)?;
    running.guide()?;
    story::show(&mut running)?;
    screen::event("The story is over; the jobs continue. Press Ctrl-C to stop.");
    loop {
        running.pause(Duration::from_secs(3600))?;
    }
}
