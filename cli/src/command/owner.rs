//! `pushring owner`.

use super::Outcome;

/// Say who owns a group
#[derive(clap::Args)]
pub(crate) struct Owner {}

impl Owner {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        anyhow::bail!("not built yet")
    }
}
