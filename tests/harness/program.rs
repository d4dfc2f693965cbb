//! Parts of the programs that run for long: their modes, their seed, and their end by a signal.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::Mode;

/// Arguments of every program.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Run {
    /// `cluster` or `endpoint` [default: both]
    #[arg(long, value_parser = Mode::routed)]
    mode: Option<Mode>,
    /// Seed of the random choices, to repeat a run [default: random]
    #[arg(long)]
    seed: Option<u64>,
}

impl Run {
    /// The modes to run in, one after another.
    #[must_use]
    pub fn modes(&self) -> Vec<Mode> {
        self.mode.map_or(Mode::ROUTED.to_vec(), |mode| vec![mode])
    }

    /// Returns the seed, and prints it.
    #[must_use]
    pub fn seed(&self) -> u64 {
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        println!("seed {seed}");
        seed
    }
}

/// Returns a flag that is set by the first signal; the second one ends the program with exit code 130.
///
/// # Errors
/// Signals cannot be received.
pub fn stop_by_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
