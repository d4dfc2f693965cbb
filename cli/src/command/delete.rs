//! `pushring delete`.

use super::Outcome;

/// Delete groups by job or label, on every gateway where they lie
#[derive(clap::Args)]
pub(crate) struct Delete {}

impl Delete {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        anyhow::bail!("not built yet")
    }
}
