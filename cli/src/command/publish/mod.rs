//! `pushring publish`.

use std::path::PathBuf;
use std::time::Duration;

use crate::envoy_admin::Admin;
use crate::output;
use crate::output::Output;
use crate::publish;

/// Move rendered files to where Envoy watches them, in the order that loses no push
///
/// Checks the staged ring.yaml with the filter's own parser; moves the clusters or endpoints (old and new ones
/// together); waits until Envoy has them; moves the ring. Those that left are dropped by the first run that comes a
/// grace time later. May be killed at any point, and run twice at once. consul-template runs it after each
/// rendering; run it by hand after changing staged files.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pushring publish --admin http://127.0.0.1:9901
  pushring publish --staged out/ --live /etc/pushring/live --admin unix:/run/envoy-admin.sock --output json")]
pub(crate) struct Publish {
    /// Folder with the rendered files: ring.yaml and, by its mode, clusters.yaml or endpoints.yaml
    #[arg(long, default_value = "/etc/pushring/staged")]
    staged: PathBuf,
    /// Folder that Envoy watches
    #[arg(long, default_value = "/etc/pushring/live")]
    live: PathBuf,
    /// Envoy's admin interface: http://host:port or unix:/path; without it a fixed delay is waited
    #[arg(long)]
    admin: Option<Admin>,
    /// Milliseconds that a cluster or endpoint stays after the ring no longer names it
    #[arg(long, default_value_t = 2000, value_name = "MS")]
    grace: u64,
    /// Milliseconds between them and the ring when Envoy cannot be asked
    #[arg(long, default_value_t = 500, value_name = "MS")]
    delay: u64,
    /// Milliseconds after which to give up when Envoy does not take one in; the default is more than its
    /// resolver takes to give up on a host name
    #[arg(long, default_value_t = 30_000, value_name = "MS")]
    timeout: u64,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Publish {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let options = publish::Options {
            staged: self.staged,
            live: self.live,
            admin: self.admin,
            grace: Duration::from_millis(self.grace),
            delay: Duration::from_millis(self.delay),
            timeout: Duration::from_millis(self.timeout),
        };
        let report = publish::publish(&options)?;
        for warning in &report.warnings {
            eprintln!("pushring: {warning}");
        }
        output::show(self.output, &report, ToString::to_string)?;
        Ok(())
    }
}
