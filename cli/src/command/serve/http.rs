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

use super::api::Process;
use super::gateway_read::Depth;
use super::reader::Reader;
use super::view::FleetView;
use super::{api, format, page, render};

/// The timeout of Prometheus for the whole scrape.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";
/// Least part of that timeout that is left for the answer.
const MARGIN: Duration = Duration::from_millis(500);

/// Levels above this take more time than they save on a local network.
const COMPRESSION: Compression = Compression::new(3);

const PUSH_HINT: &str = "pushring serve takes no pushes and no deletions: send them through Envoy\n";

/// Envoy passes requests only to a server with this answer (envoy/cluster.yaml), because others listen on port 9093, too.
const NAME: (&str, &str) = ("x-envoy-upstream-healthchecked-cluster", "pushring-serve");

type Shared = State<Arc<Server>>;

/// Everything that answers need.
struct Server {
    reader: Arc<Reader>,
    process: Process,
    admin_api: bool,
}

/// Returns the routes; `admin_api` is `--enable-admin-api`.
pub(super) fn routes(reader: Arc<Reader>, process: Process, admin_api: bool) -> Router {
    Router::new()
        .route("/", any(groups))
        .route("/status", any(status))
        .route("/static/{name}", any(asset))
        .route("/metrics", any(metrics))
        .route("/metrics/{*path}", any(push))
        .route("/api/v1/metrics", any(api_metrics))
        .route("/api/v1/status", any(api_status))
        .route("/api/v1/admin/wipe", any(wipe))
        .route("/api/v1/{*path}", any(api_other))
        .route("/-/healthy", any(healthy))
        .route("/-/ready", any(ready))
        .fallback(async || not_found())
        .with_state(Arc::new(Server { reader, process, admin_api }))
}

async fn metrics(State(server): Shared, request: Request) -> Response {
    if let Some(answer) = other_than_get(request.method()) {
        return answer;
    }
    let headers = request.headers();
    let (format, escaping) = format::negotiate(text(headers, &ACCEPT));
    let gzip = format::wants_gzip(text(headers, &ACCEPT_ENCODING));
    let Some(view) = server.reader.view(Depth::Values, time(headers, server.reader.deadline)).await else {
        return too_busy();
    };
    if view.is_blind() {
        return blind();
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

async fn groups(State(server): Shared, request: Request) -> Response {
    if let Some(answer) = other_than_get(request.method()) {
        return answer;
    }
    let Some(view) = full(&server.reader).await else { return too_busy() };
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let answer = move || page::groups(&view, uri.query().unwrap_or_default(), &headers);
    spawn_blocking(answer).await.unwrap_or_else(|_| too_busy())
}

async fn status(State(server): Shared, request: Request) -> Response {
    if let Some(answer) = other_than_get(request.method()) {
        return answer;
    }
    let Some(view) = full(&server.reader).await else { return too_busy() };
    let answer = move || page::status(&view, &server.process.facts());
    spawn_blocking(answer).await.unwrap_or_else(|_| too_busy())
}

async fn asset(State(server): Shared, Path(name): Path<String>, request: Request) -> Response {
    if let Some(answer) = other_than_get(request.method()) {
        return answer;
    }
    let answer = move || page::asset(&server.reader.fleet().router, &name);
    spawn_blocking(answer).await.ok().flatten().unwrap_or_else(not_found)
}

async fn full(reader: &Arc<Reader>) -> Option<Arc<FleetView>> {
    reader.view(Depth::Full, reader.deadline).await
}

async fn api_metrics(State(server): Shared, request: Request) -> Response {
    if let Some(answer) = other_than_api_get(request.method()) {
        return answer;
    }
    let Some(view) = full(&server.reader).await else { return too_busy() };
    if view.is_blind() {
        return blind();
    }
    spawn_blocking(move || as_json(api::metrics(&view))).await.unwrap_or_else(|_| too_busy())
}

async fn api_status(State(server): Shared, request: Request) -> Response {
    if let Some(answer) = other_than_api_get(request.method()) {
        return answer;
    }
    let Some(view) = server.reader.view(Depth::Values, server.reader.deadline).await else {
        return too_busy();
    };
    as_json(api::status(&view, &server.process))
}

async fn wipe(State(server): Shared, request: Request) -> Response {
    if !server.admin_api || request.method() == Method::OPTIONS {
        return api_other(request).await;
    }
    if let Some(answer) = other_than(&[Method::PUT, Method::POST], request.method(), "OPTIONS, POST, PUT") {
        return answer;
    }
    // In a task of its own: it continues if the client closes the connection.
    let reader = server.reader.clone();
    match tokio::spawn(async move { super::wipe::all(&reader).await }).await {
        Ok(Ok(())) => StatusCode::ACCEPTED.into_response(),
        Ok(Err(failed)) => error(StatusCode::BAD_GATEWAY, format!("not wiped:\n{failed}")),
        Err(failed) => error(StatusCode::INTERNAL_SERVER_ERROR, format!("{failed}\n")),
    }
}

async fn api_other(request: Request) -> Response {
    if request.method() == Method::OPTIONS { api::HEADERS.into_response() } else { not_found() }
}

fn other_than_api_get(method: &Method) -> Option<Response> {
    if method == Method::OPTIONS {
        return Some(api::HEADERS.into_response());
    }
    other_than_get(method)
}

fn as_json(body: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], api::HEADERS, body).into_response()
}

async fn push() -> Response {
    ([(ALLOW, "")], error(StatusCode::METHOD_NOT_ALLOWED, PUSH_HINT.to_owned())).into_response()
}

async fn healthy(request: Request) -> Response {
    other_than_get(request.method()).unwrap_or_else(|| ([NAME], "OK").into_response())
}

async fn ready(State(server): Shared, request: Request) -> Response {
    if let Some(answer) = other_than_get(request.method()) {
        return answer;
    }
    let is_ready = spawn_blocking({
        let reader = server.reader.clone();
        move || reader.is_ready()
    });
    // Before the first request for metrics, this is the first reading.
    if is_ready.await.unwrap_or_default()
        || server.reader.view(Depth::Values, server.reader.deadline).await.is_some_and(|view| view.is_good())
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

fn blind() -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "no gateway can be read\n".to_owned())
}

fn too_busy() -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "the gateways could not be read in time\n".to_owned())
}

fn error(status: StatusCode, text: String) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (status, headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_ends_before_prometheus_stops_waiting() {
        let time = |seconds: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(SCRAPE_TIMEOUT, seconds.parse().unwrap());
            super::time(&headers, Duration::from_secs(10)).as_secs_f64()
        };
        for (announced, seconds) in
            [("10", 9.0), ("2", 1.5), ("60", 10.0), ("0.5", 0.25), ("x", 10.0), ("-1", 10.0), ("inf", 10.0)]
        {
            assert!((time(announced) - seconds).abs() < 1e-9, "{announced}: {}", time(announced));
        }
        assert_eq!(super::time(&HeaderMap::new(), Duration::from_secs(3)), Duration::from_secs(3));
    }
}
