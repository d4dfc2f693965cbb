//! `metric-index serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use super::reload;
use crate::catalogue::{Catalogue, Retention};
use crate::config::{Config, Role};
use crate::error::{BadInput, ExitStatus};
use crate::forward::Forward;
use crate::gateway::{self, Gateway};
use crate::pipeline::{Indexer, Pipeline, Sink};
use crate::puts::Puts;
use crate::{api, log, own_metrics, page, server};

/// Accept remote writes and pushes, keep the catalogue, answer queries
///
/// Without a configuration, one process keeps everything: no other server is needed. It has no TLS and no authentication:
/// let Envoy be in front of it.
#[derive(Clone, clap::Args)]
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
        let config = Arc::new(self.read()?);
        if config.app.role_type == Role::Indexer && config.consumer().is_none() {
            let text = "metric_store.consummer: missing; an indexer needs the hosts and topics of Kafka";
            return Err(BadInput(text.to_owned()).into());
        }
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
            let catalogue = Arc::new(Catalogue::of(&config).await?);
            let pipeline = Arc::new(Pipeline::new(&config));
            let (ends, ending) = watch::channel(false);
            let indexer =
                config.consumer().map(|topics| Indexer::new(topics, catalogue.clone())).transpose()?;
            let indexer = indexer.map(|indexer| tokio::spawn(indexer.run(ending)));
            let writer = tokio::spawn(pipeline.clone().run(Sink::new(&config, catalogue.clone())?));
            tokio::spawn(
                pipeline.clone().sweep(Duration::from_secs(config.metric_store.cache.cleanup_interval)),
            );
            if let Some(retention) = Retention::of(&config) {
                tokio::spawn(retention.run(catalogue.clone()));
            }
            let send = config.remote.send.as_ref().filter(|_| config.app.role_type != Role::Indexer);
            let puts = send.map(Puts::start).transpose()?.map(Arc::new);
            let forward = Arc::new(Forward::new(&config)?);
            tokio::spawn(forward.clone().replay());
            let gateway =
                Arc::new(Gateway::new(config.clone(), pipeline.clone(), puts.clone(), forward.clone())?);
            let parts = (gateway.clone(), pipeline.clone(), forward);
            tokio::spawn(self.clone().follow(config.clone(), parts));
            let mut routes = server::routes(state.clone(), metrics);
            routes = routes.merge(api::router(catalogue.clone())).merge(page::router(catalogue));
            if config.app.role_type != Role::Indexer {
                routes = routes.merge(gateway::routes(gateway));
            }
            state.set_ready(true);
            let data = config.catalogue.path.display().to_string();
            info!(url = format!("http://{address}"), data, "started");
            server::run(listener, routes, end()?).await;
            state.set_ready(false);
            // All requests are answered: what they brought is written before the end.
            if let Some(puts) = puts {
                puts.end().await;
            }
            pipeline.end();
            writer.await.context("the writer of the catalogue")?;
            ends.send_replace(true);
            if let Some(indexer) = indexer {
                indexer.await.context("the indexer")?;
            }
            anyhow::Ok(())
        })?;
        info!("ended");
        runtime.shutdown_background();
        Ok(ExitStatus::Done)
    }

    /// Follows changes of the configuration file.
    async fn follow(
        self,
        config: Arc<Config>,
        (gateway, pipeline, forward): (Arc<Gateway>, Arc<Pipeline>, Arc<Forward>),
    ) {
        let Some(file) = &self.config else { return };
        let apply = |config: Arc<Config>| {
            pipeline.configure(&config);
            if let Err(error) = forward.configure(&config) {
                warn!(error = format!("{error:#}"), "the last target of writes stays");
            }
            gateway.configure(config);
        };
        if let Err(error) = reload::follow(file, config, || self.read(), apply).await {
            warn!(error = format!("{error:#}"), "changes of the configuration are not followed");
        }
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
