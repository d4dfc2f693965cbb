//! `pushring drain`.

use super::Outcome;

/// Carry the groups of a gateway that has left the ring to their owners
#[derive(clap::Args)]
pub(crate) struct Drain {}

impl Drain {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        anyhow::bail!("not built yet")
    }
}
