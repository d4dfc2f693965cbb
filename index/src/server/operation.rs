//! Health and the server's own metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

/// The state that the routes of operation show.
#[derive(Debug, Default)]
pub(crate) struct State {
    ready: AtomicBool,
}

impl State {
    /// Says whether `/-/ready` answers 200: from the start of the pipeline to the begin of the end.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

/// Returns `/health` and `/-/healthy` (the process answers), `/-/ready` (it takes writes) and `/metrics`.
pub(crate) fn routes(state: Arc<State>, metrics: PrometheusHandle) -> Router {
    let ready = async move || -> Response {
        if state.is_ready() {
            return "ready\n".into_response();
        }
        (StatusCode::SERVICE_UNAVAILABLE, "starting or ending\n").into_response()
    };
    let show = async move || {
        let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        (kind, metrics.render())
    };
    Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/-/healthy", get(async || "ok\n"))
        .route("/-/ready", get(ready))
        .route("/metrics", get(show))
}
