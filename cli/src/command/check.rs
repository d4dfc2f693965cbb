//! `pushring check`.

use super::Outcome;

/// Say whether a configuration is good, in the words of the filter
#[derive(clap::Args)]
pub(crate) struct Check {}

impl Check {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        anyhow::bail!("not built yet")
    }
}
