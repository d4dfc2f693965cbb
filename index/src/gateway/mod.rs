//! The routes that take series in: remote writes, mirrored pushes, puts of OpenTSDB.

mod answer;
mod body;
mod decode;
mod families;
mod origin;
mod pass;
mod push;
mod put;
mod work;
mod write;

use std::sync::{Arc, PoisonError, RwLock};
use std::thread::available_parallelism;

use anyhow::anyhow;
use axum::Router;
use axum::routing::{any, post};
use pushring_index::pushed::Paths;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::forward::Forward;
use crate::pipeline::Pipeline;
use crate::puts::Puts;
pub(crate) use decode::Version;
use families::Families;

/// The state of all requests.
#[derive(Debug)]
pub(crate) struct Gateway {
    config: RwLock<Arc<Config>>,
    pipeline: Arc<Pipeline>,
    /// The target of puts; none if the index only listens.
    puts: Option<Arc<Puts>>,
    forward: Arc<Forward>,
    /// Facts about metrics from requests of remote write 1.0, which send them apart from the series.
    families: Families,
    /// The grammar of the paths of pushes.
    paths: Paths,
    /// A permit for each byte of the bodies under way.
    bytes: Arc<Semaphore>,
    /// A permit for each large body that is decoded at one time: it may need much more memory than it has bytes.
    decoders: Semaphore,
}

impl Gateway {
    /// Creates the state.
    ///
    /// # Errors
    /// If the grammar of paths cannot be prepared.
    pub(crate) fn new(
        config: Arc<Config>,
        pipeline: Arc<Pipeline>,
        puts: Option<Arc<Puts>>,
        forward: Arc<Forward>,
    ) -> anyhow::Result<Self> {
        let cores = available_parallelism().map_or(1, usize::from);
        Ok(Self {
            bytes: Arc::new(Semaphore::new(config.limits.max_inflight_bytes)),
            config: RwLock::new(config),
            pipeline,
            puts,
            forward,
            families: Families::default(),
            paths: Paths::new("", true).map_err(|error| anyhow!("the grammar of paths: {error}"))?,
            decoders: Semaphore::new(cores),
        })
    }

    /// Takes the settings of another configuration. Requests under way keep those that they began with.
    pub(crate) fn configure(&self, config: Arc<Config>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns the routes.
pub(crate) fn routes(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/api/v1/write", post(write::handle))
        // The path of the original, and those of the servers whose place the index may take.
        .route("/api/v1/metrics/write", post(write::handle))
        .route("/api/v1/push", post(write::handle))
        .route("/prometheus/api/v1/write", post(write::handle))
        .route("/insert/{tenant}/prometheus/api/v1/write", post(write::handle))
        // The paths of the original, and that of OpenTSDB.
        .route("/api/v1/metrics", post(put::handle))
        .route("/api/v1/metrics/", post(put::handle))
        .route("/api/put", post(put::handle))
        .route("/metrics/{*path}", any(push::handle))
        .with_state(gateway)
}
