//! `pushring expire`.

use super::Outcome;

/// Delete groups that were not pushed for a long time
#[derive(clap::Args)]
pub(crate) struct Expire {}

impl Expire {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        anyhow::bail!("not built yet")
    }
}
