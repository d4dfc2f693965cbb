//! `pushring sweep`.

use super::Outcome;

/// Delete what stayed on gateways that no longer own it
#[derive(clap::Args)]
pub(crate) struct Sweep {}

impl Sweep {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        anyhow::bail!("not built yet")
    }
}
