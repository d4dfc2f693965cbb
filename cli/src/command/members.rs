//! `pushring members`.

use crate::{members, output};

/// Turn Consul's registrations into members, clusters and endpoints; for the templates
///
/// The templates call it as a plugin of consul-template: which registration is which member is decided here
/// once, for all three files.
#[derive(clap::Args)]
pub(crate) struct Members {
    /// The text of settings.yaml
    settings: String,
    /// One JSON array per line: [address, port, status, weight, name, node, id]
    #[arg(default_value = "")]
    registrations: String,
}

impl Members {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let settings = members::parse_settings(&self.settings)?;
        let registrations = members::parse_registrations(&self.registrations)?;
        output::print(serde_json::to_string(&members::members(&settings, &registrations))?)?;
        Ok(())
    }
}
