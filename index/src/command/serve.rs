//! `metric-index serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::config::Config;
use crate::error::{BadInput, ExitStatus};
use crate::{log, own_metrics, server};

/// Accept remote writes and pushes, keep the catalogue, answer queries
///
/// Without a configuration, one process keeps everything: no other server is needed. It has no TLS and no authentication:
/// let Envoy be in front of it.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 ended by a signal; 2 wrong usage or invalid configuration.

Examples:
  metric-index serve
  metric-index serve --config /etc/metric-index.yaml --listen 0.0.0.0:7001")]
pub(crate) struct ServeArgs {
    /// Configuration file; without it, everything has its default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on, instead of that of the configuration; port 0 selects a free port, which is logged
    /// [default: 127.0.0.1:7001]
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// Directory of the catalogue, instead of that of the configuration [default: metric-index-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:7001".to_owned())
}

impl ServeArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let config = self.read()?;
        log::start(config.log.level.filter());
        let metrics = own_metrics::start()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let listen = config.listen();
            let listener = TcpListener::bind(listen).await;
            let listener =
                listener.map_err(|error| BadInput(format!("cannot listen on {listen}: {error}")))?;
            let address = listener.local_addr().context("the listener")?;
            let state = Arc::new(server::State::default());
            let routes = server::routes(state.clone(), metrics);
            state.set_ready(true);
            info!(
                url = format!("http://{address}"),
                data = config.catalogue.path.display().to_string(),
                "started"
            );
            server::run(listener, routes, end()?).await;
            state.set_ready(false);
            anyhow::Ok(())
        })?;
        info!("ended");
        runtime.shutdown_background();
        Ok(ExitStatus::Done)
    }

    /// Reads the configuration; options of the command line win.
    fn read(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(file) => Config::read(file)?,
            None => Config::default(),
        };
        if let Some(listen) = self.listen {
            config.app.listen = Some(listen);
        }
        if let Some(data) = &self.data {
            config.catalogue.path.clone_from(data);
        }
        Ok(config)
    }
}

/// Returns what completes at SIGTERM or SIGINT.
fn end() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
