//! `make run INDEX=1`: metric-index behind Envoy, with a Prometheus that writes through it and jobs that push.

mod guide;
mod running;
mod stores;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use pushring_harness::{Mode, tools};

use self::running::Running;
use crate::screen;
use crate::state::State;

/// metric-index: every series that Prometheus writes and jobs push through Envoy
#[derive(Debug, clap::Args)]
pub(crate) struct IndexOptions {
    /// Use Redis, Kafka and MariaDB instead of SQLite
    #[arg(long)]
    distributed: bool,
    /// How Envoy routes a push to its owner: cluster or endpoint
    #[arg(long, value_enum, default_value_t = Mode::Cluster)]
    mode: Mode,
    /// First port; the others follow it. 0: any free ports
    #[arg(long, default_value_t = 22_091, value_parser = clap::value_parser!(u16).range(..=65_000))]
    port: u16,
    /// Folder for all files [default: target/run]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs until `stop` is set.
///
/// # Errors
/// If a part does not start or ends, with its name and its log.
pub(crate) fn run(options: &IndexOptions, stop: &Arc<AtomicBool>) -> Result<()> {
    ensure!(
        options.mode != Mode::Redirect,
        "--mode: found redirect, allowed cluster or endpoint: with redirect, pushes pass no Envoy"
    );
    let dir = options.dir.clone().unwrap_or_else(|| tools::repository().join("target/run"));
    let state = State::open(&dir)?;
    if let Some(mut running) = Running::start(options, &state.dir, stop)? {
        guide::show(&running)?;
        screen::heading("Running. Press Ctrl-C to stop. Events:");
        while !stop.load(Ordering::Relaxed) {
            running.report()?;
            std::thread::sleep(crate::TICK);
        }
    }
    screen::line(format_args!("\nStopped: all processes have ended. Logs: {}", screen::short(&state.dir)));
    Ok(())
}
