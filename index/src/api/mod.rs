//! The HTTP query API: JSON as Prometheus and Mimir have it, so that their pages and clients read it.

mod answers;
mod question;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};

use crate::catalogue::Catalogue;
pub(crate) use question::{Bad, Question, now, parse_time};

/// The header that names the tenant, as in Mimir and Loki.
pub(crate) const TENANT_HEADER: &str = "x-scope-orgid";
/// Longest form of a request.
const FORM: usize = 1 << 20;

/// Returns the routes of the API; all below `/api/v1/`.
pub(crate) fn router(catalogue: Arc<Catalogue>) -> Router {
    Router::new()
        .route("/api/v1/series", route(answers::series))
        .route("/api/v1/new", route(answers::new))
        .route("/api/v1/gone", route(answers::gone))
        .route("/api/v1/labels", route(answers::labels))
        .route("/api/v1/label/{name}/values", values())
        .route("/api/v1/status/tsdb", route(answers::tsdb))
        .route("/api/v1/cardinality/label_names", route(answers::label_names))
        .route("/api/v1/cardinality/label_values", route(answers::label_values))
        .route("/api/v1/owners", route(answers::owners))
        .route("/api/v1/conflicts", route(answers::conflicts))
        .route("/api/v1/daily", route(answers::daily))
        .layer(DefaultBodyLimit::max(FORM))
        .with_state(catalogue)
}

/// A way to answer a question.
trait Answer: Clone + Send + Sync + 'static {
    fn answer(
        self,
        catalogue: Arc<Catalogue>,
        question: Question,
    ) -> impl Future<Output = anyhow::Result<Value>> + Send;
}

impl<F, A> Answer for F
where
    F: FnOnce(Arc<Catalogue>, Question) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = anyhow::Result<Value>> + Send,
{
    fn answer(
        self,
        catalogue: Arc<Catalogue>,
        question: Question,
    ) -> impl Future<Output = anyhow::Result<Value>> + Send {
        self(catalogue, question)
    }
}

fn route(answer: impl Answer) -> MethodRouter<Arc<Catalogue>> {
    let handle = async move |State(catalogue): State<Arc<Catalogue>>,
                             RawQuery(query): RawQuery,
                             headers: HeaderMap,
                             body: Bytes| {
        let question = Question::new(&headers, query.as_deref(), &body);
        respond(async { answer.answer(catalogue, question?).await }.await)
    };
    get(handle.clone()).post(handle)
}

fn values() -> MethodRouter<Arc<Catalogue>> {
    let handle = async |State(catalogue): State<Arc<Catalogue>>,
                        Path(name): Path<String>,
                        RawQuery(query): RawQuery,
                        headers: HeaderMap| {
        let question = Question::new(&headers, query.as_deref(), &[]);
        respond(async { answers::values(catalogue, name, question?).await }.await)
    };
    get(handle)
}

/// Answers as Prometheus does: `status`, and `data` or `errorType` and `error`.
fn respond(result: anyhow::Result<Value>) -> Response {
    let error = |kind: &str, text: String| json!({"status": "error", "errorType": kind, "error": text});
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(wrong) if wrong.is::<Bad>() => (StatusCode::BAD_REQUEST, error("bad_data", wrong.to_string())),
        Err(wrong) => {
            // The text may have paths and names of servers, which are the operator's.
            tracing::error!(error = format!("{wrong:#}"), "a query failed");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                error("internal", "the catalogue failed: see the log of the server".into()),
            )
        }
    };
    let headers =
        [(CONTENT_TYPE, "application/json"), (axum::http::header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (status, headers, body.to_string()).into_response()
}
