//! The routes. Other methods and paths are answered as a Pushgateway does.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::task::spawn_blocking;

use super::gateway_read::Depth;
use super::reader::Reader;
use super::view::FleetView;
use super::{format, page, render};

/// The timeout of Prometheus for the whole scrape.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";
/// Least part of that timeout that is left for the answer.
const MARGIN: Duration = Duration::from_millis(500);

/// Levels above this take more time than they save on a local network.
const COMPRESSION: Compression = Compression::new(3);

const PUSH_HINT: &str = "pushring serve takes no pushes and no deletions: send them through Envoy\n";

/// Envoy passes requests only to a server with this answer (envoy/cluster.yaml), because others listen on port 9093, too.
const NAME: (&str, &str) = ("x-envoy-upstream-healthchecked-cluster", "pushring-serve");

type Shared = State<Arc<Reader>>;

pub(super) fn routes(reader: Arc<Reader>, _admin_api: bool) -> Router {
    Router::new()
        .route("/", any(groups))
        .route("/status", any(status))
        .route("/static/{name}", any(asset))
        .route("/metrics", any(metrics))
        .route("/metrics/{*path}", any(push))
        .route("/-/healthy", any(healthy))
        .route("/-/ready", any(ready))
        .fallback(async || not_found())
        .with_state(reader)
}

async fn metrics(State(reader): Shared, request: Request) -> Response {
    if let Some(answer) = other_than_get(request.method()) {
        return answer;
    }
    let headers = request.headers();
    let (format, escaping) = format::negotiate(text(headers, &ACCEPT));
    let gzip = format::wants_gzip(text(headers, &ACCEPT_ENCODING));
    let Some(view) = reader.view(Depth::Values, time(headers, reader.deadline)).await else {
        return too_busy();
    };
    if view.is_blind() {
        return error(StatusCode::SERVICE_UNAVAILABLE, "no gateway can be read\n".to_owned());
    }
    let body = spawn_blocking(move || {
        let body = render::write(&view, format, escaping);
        if gzip { compress(&body) } else { Ok(body) }
    });
    let Ok(Ok(body)) = body.await else { return too_busy() };
    let mut answer = Body::from(body).into_response();
    if let Ok(kind) = format::content_type(format, escaping).parse() {
        answer.headers_mut().insert(CONTENT_TYPE, kind);
    }
    if gzip {
        answer.headers_mut().insert(CONTENT_ENCODING, axum::http::HeaderValue::from_static("gzip"));
    }
    answer
}

fn compress(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), COMPRESSION);
    encoder.write_all(body)?;
    encoder.finish()
}

async fn groups(State(reader): Shared, request: Request) -> Response {
    if let Some(answer) = other_than_get(request.method()) {
        return answer;
    }
    let Some(view) = full(&reader).await else { return too_busy() };
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let answer = move || page::groups(&view, uri.query().unwrap_or_default(), &headers);
    spawn_blocking(answer).await.unwrap_or_else(|_| too_busy())
}

async fn status(State(reader): Shared, request: Request) -> Response {
    if let Some(answer) = other_than_get(request.method()) {
        return answer;
    }
    let Some(view) = full(&reader).await else { return too_busy() };
    spawn_blocking(move || page::status(&view, &[])).await.unwrap_or_else(|_| too_busy())
}

async fn asset(State(reader): Shared, Path(name): Path<String>, request: Request) -> Response {
    if let Some(answer) = other_than_get(request.method()) {
        return answer;
    }
    let answer = move || page::asset(&reader.fleet().router, &name);
    spawn_blocking(answer).await.ok().flatten().unwrap_or_else(not_found)
}

async fn full(reader: &Arc<Reader>) -> Option<Arc<FleetView>> {
    reader.view(Depth::Full, reader.deadline).await
}

async fn push(request: Request) -> Response {
    if [Method::PUT, Method::POST, Method::DELETE].contains(request.method()) {
        return ([(ALLOW, "")], error(StatusCode::METHOD_NOT_ALLOWED, PUSH_HINT.to_owned())).into_response();
    }
    not_found()
}

async fn healthy(request: Request) -> Response {
    other_than_get(request.method()).unwrap_or_else(|| ([NAME], "OK").into_response())
}

async fn ready(State(reader): Shared, request: Request) -> Response {
    if let Some(answer) = other_than_get(request.method()) {
        return answer;
    }
    let is_ready = spawn_blocking({
        let reader = reader.clone();
        move || reader.is_ready()
    });
    // Before the first request for metrics, this is the first reading.
    if is_ready.await.unwrap_or_default()
        || reader.view(Depth::Values, reader.deadline).await.is_some_and(|view| view.is_good())
    {
        return "OK".into_response();
    }
    error(
        StatusCode::SERVICE_UNAVAILABLE,
        "no gateway could be read yet, or the members cannot be read\n".to_owned(),
    )
}

/// Returns the time for a reading: what is left of Prometheus' timeout, if it is less than the deadline.
fn time(headers: &HeaderMap, deadline: Duration) -> Duration {
    let seconds = headers.get(SCRAPE_TIMEOUT).and_then(|value| value.to_str().ok()?.parse().ok());
    let timeout = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let Some(timeout) = timeout else { return deadline };
    timeout.saturating_sub(MARGIN.max(timeout / 10)).max(timeout / 2).min(deadline)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Answers every method but GET, as the router of a Pushgateway does, which does not know HEAD.
fn other_than_get(method: &Method) -> Option<Response> {
    other_than(&[Method::GET], method, "GET, OPTIONS")
}

fn other_than(allowed: &[Method], method: &Method, header: &'static str) -> Option<Response> {
    if allowed.contains(method) {
        return None;
    }
    let allow = [(ALLOW, header)];
    if method == Method::OPTIONS {
        return Some(allow.into_response());
    }
    Some((allow, error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".to_owned())).into_response())
}

fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "404 page not found\n".to_owned())
}

fn too_busy() -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "the gateways could not be read in time\n".to_owned())
}

fn error(status: StatusCode, text: String) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (status, headers, text).into_response()
}
