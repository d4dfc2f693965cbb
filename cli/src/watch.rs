//! `pushring sweep --watch`: a pass every interval, by one sweeper of a fleet, for as long as it is let.

use std::net::SocketAddr;
use std::time::Duration;

use crate::gateway::GatewayArgs;
use crate::guard::Guard;
use crate::sweep::Options;

/// Going on instead of ending after one pass.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Going on")]
pub struct WatchArgs {
    /// Go on, with a pass each time this long after the last one began. With --consul one sweeper of a fleet is active
    /// and the others stand by (a session lock: the token needs session:write and key:write)
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub watch: Option<Duration>,
    /// Take no lock: nobody else sweeps this fleet
    #[arg(long, requires = "watch")]
    pub single: bool,
    /// Where to serve /metrics; port 0 is any free one, told in the log
    #[arg(long, value_name = "ADDRESS", requires = "watch", default_value = "127.0.0.1:9089")]
    pub listen: SocketAddr,
    /// Also delete groups whose last push is older than this
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = humantime::parse_duration)]
    pub expire_after: Option<Duration>,
    /// The same for jobs that match, instead of --expire-after; may be repeated
    #[arg(long = "expire-job", value_name = "REGEX=TIME", requires = "watch")]
    pub expire_jobs: Vec<String>,
}

/// Sweeps until Ctrl-C or SIGTERM. `guard` is new; what a pass does is in `options`.
///
/// # Errors
/// [`crate::BadInput`] when a flag cannot be used. Errors in a pass are logged and the pass is tried again.
pub fn run(
    _args: &WatchArgs,
    _gateways: &GatewayArgs,
    _guard: Guard,
    _options: Options,
) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
