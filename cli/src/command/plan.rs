//! `pushring plan`.

use super::Outcome;

/// Show what a change of members or settings would move
#[derive(clap::Args)]
pub(crate) struct Plan {}

impl Plan {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        anyhow::bail!("not built yet")
    }
}
