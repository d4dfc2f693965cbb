//! `pushring groups`.

use super::Outcome;

/// List all groups on all gateways, and where they should be
#[derive(clap::Args)]
pub(crate) struct Groups {}

impl Groups {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        anyhow::bail!("not built yet")
    }
}
