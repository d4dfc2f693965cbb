//! `pushring serve`.

mod api;
mod clients;
mod conflicts;
mod escape;
mod fleet_watch;
mod format;
mod from_json;
mod gateway_read;
mod grouping;
mod held;
mod http;
mod json;
mod merge;
mod metric;
mod number;
mod own;
mod page;
mod prefix;
mod prototext;
mod reader;
mod reading;
mod render;
mod requests;
mod server;
mod text;
mod view;
mod wipe;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tracing::info;

use crate::duration;
use crate::error::BadInput;
use crate::fleet::source::FleetArgs;
use crate::gateway::pool::GatewayArgs;
use crate::http::without_credentials;
use crate::log;
use crate::text as plain_text;
use api::Process;
use fleet_watch::FleetWatch;
use reader::Reader;

/// Answer as one Pushgateway that holds the groups of the whole fleet
///
/// Serves /metrics, the API and a web page. Each request reads all gateways and shows each group once: from its owner, or
/// family by family from its replica or a former owner if the owner has lost it. It stores nothing, so several may run.
/// Pushes and deletions do not go here but to Envoy. It has no TLS and no authentication: let Envoy be in front of it.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 ended by a signal; 2 wrong usage or invalid configuration.

Examples:
  pushring serve --config live/ring.yaml
  pushring serve --config live/ring.yaml --listen 127.0.0.1:9094 --deadline 5s")]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 selects a free port, which is logged
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9093", value_parser = listen_address)]
    listen: SocketAddr,
    /// Longest time to read the gateways for one answer; shorter if Prometheus announces a shorter timeout of its scrape.
    /// The answer has what could be read until then
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::within(duration::MILLISECOND, duration::HOUR))]
    deadline: Duration,
    /// Allow PUT and POST /api/v1/admin/wipe, which deletes all groups on all gateways
    #[arg(long)]
    enable_admin_api: bool,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    gateways: GatewayArgs,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:9093".to_owned())
}

impl ServeArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let fleet = FleetWatch::new(self.fleet.source()?, &self.fleet)?;
        let process = Process { flags: self.flags(), started: Timestamp::now() };
        let reader = Arc::new(Reader::new(fleet, self.gateways, self.deadline)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind(self.listen).await;
            let listener =
                listener.map_err(|error| BadInput(format!("--listen {}: {error}", self.listen)))?;
            log::start();
            info!(url = format!("http://{}", listener.local_addr().context("--listen")?), "started");
            tokio::spawn(reader.clone().follow());
            let path_prefix = reader.fleet().router.config().path_prefix.clone();
            server::run(listener, http::routes(reader, process, self.enable_admin_api), path_prefix).await
        })?;
        info!("ended");
        // Requests to gateways that hang do not keep the process.
        runtime.shutdown_background();
        Ok(())
    }

    /// Returns the flags that `/api/v1/status` shows; credentials are not among them.
    fn flags(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("config", plain_text::path(&self.fleet.config)),
            ("consul", self.fleet.consul.as_deref().map(without_credentials).unwrap_or_default()),
            ("deadline", format!("{:?}", self.deadline)),
            ("enable-admin-api", self.enable_admin_api.to_string()),
            ("gateway-timeout", format!("{:?}", self.gateways.gateway_timeout)),
            ("listen", self.listen.to_string()),
        ])
    }
}
