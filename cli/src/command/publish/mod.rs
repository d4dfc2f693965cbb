//! `pushring publish`.

mod args;
mod departed;
mod document;
mod envoy_admin;
mod live;
mod options;
mod run;
mod service_entry;
mod steps;
mod upstream_kind;
mod upstreams;
mod wasm_plugin;
pub(crate) mod work_folder;

use std::path::PathBuf;

pub use crate::fleet::ring_file::RING_FILE;
pub(crate) use args::PublicationArgs;
pub use envoy_admin::Admin;
pub(crate) use live::WORK;
pub use options::{Options, Report};
pub use run::{publish, publish_file};
pub use upstream_kind::{CLUSTERS_FILE, ENDPOINTS_FILE};
pub(crate) use wasm_plugin::{WASM_PLUGIN, WasmPlugin, WasmPluginOptions, check_settings};

use crate::output::{self, Output};
use crate::text;

/// Update Envoy's files from the registered gateways without losing a push
///
/// Decides which registrations are members of the ring and checks the ring with the filter's own parser. Moves the
/// clusters or endpoints into place (old and new ones together), waits until Envoy has them, then moves the ring.
/// Clusters and endpoints that left are dropped by the first run that comes a grace time later. A run may be killed at
/// any point, and runs at the same time wait for each other. consul-template runs it after each rendering.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pushring publish --admin http://127.0.0.1:9901
  pushring publish --registrations gateways.json --settings settings.yaml --live out/ --output json

Registrations without Consul, one object per gateway; name, weight and status may be left out:
  {\"registrations\": [{\"address\": \"10.0.0.1\", \"port\": 9091, \"weight\": 1, \"status\": \"passing\"}]}")]
pub(crate) struct PublishArgs {
    /// Registered gateways (JSON), as consul-template renders them
    #[arg(long, value_name = "FILE", default_value = "/etc/pushring/registrations.json")]
    registrations: PathBuf,
    #[command(flatten)]
    publication: PublicationArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl PublishArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let settings = self.publication.settings.clone();
        let report = publish_file(&self.registrations, &settings, &self.publication.options()?)?;
        for warning in &report.warnings {
            output::warn(text::line(warning));
        }
        output::show(self.output, &report, ToString::to_string)
    }
}
