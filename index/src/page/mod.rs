//! The page for people: search, cardinality, growth, what is new or gone. The server renders everything; there is no script.

mod bars;
mod conflicts;
mod growth;
mod layout;
mod overview;
mod query;
mod search;
mod series;
#[cfg(test)]
mod tests;
// Text of others is shown as on the page of `pushring serve`.
#[path = "../../../cli/src/command/serve/page/text.rs"]
mod text;

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use crate::api::Bad;
use crate::catalogue::Catalogue;
use layout::{Frame, Tab};
use query::PageQuery;

/// Nothing but our own style and picture; no script at all.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Returns the routes of the page.
pub(crate) fn router(catalogue: Arc<Catalogue>) -> Router {
    Router::new()
        .route("/", tab(Tab::Overview))
        .route("/search", tab(Tab::Search))
        .route("/new", tab(Tab::New))
        .route("/gone", tab(Tab::Gone))
        .route("/conflicts", tab(Tab::Conflicts))
        .route("/static/{name}", get(asset))
        .with_state(catalogue)
}

fn tab(tab: Tab) -> MethodRouter<Arc<Catalogue>> {
    get(
        async move |State(catalogue): State<Arc<Catalogue>>,
                    RawQuery(query): RawQuery,
                    headers: HeaderMap| {
            let query = PageQuery::new(tab, &headers, query.as_deref().unwrap_or_default());
            let (status, frame, content) = match query {
                Ok(query) => answer(&catalogue, query).await,
                Err(wrong) => (StatusCode::BAD_REQUEST, Frame::new(PageQuery::empty(tab)), failure(&wrong)),
            };
            let mut response =
                response("text/html; charset=utf-8", "no-store", layout::document(&frame, &content));
            *response.status_mut() = status;
            response
        },
    )
}

async fn answer(catalogue: &Catalogue, query: PageQuery) -> (StatusCode, Frame, Markup) {
    let frame = match Frame::read(catalogue, query.clone()).await {
        Ok(frame) => frame,
        Err(wrong) => return (StatusCode::INTERNAL_SERVER_ERROR, Frame::new(query), failure(&wrong)),
    };
    match content(catalogue, &frame).await {
        Ok(content) => (StatusCode::OK, frame, content),
        Err(wrong) if wrong.is::<Bad>() => (StatusCode::BAD_REQUEST, frame, failure(&wrong)),
        Err(wrong) => (StatusCode::INTERNAL_SERVER_ERROR, frame, failure(&wrong)),
    }
}

async fn content(catalogue: &Catalogue, frame: &Frame) -> Result<Markup> {
    match frame.query.tab {
        Tab::Overview => overview::page(catalogue, frame).await,
        Tab::Search | Tab::New | Tab::Gone => search::page(catalogue, frame).await,
        Tab::Conflicts => Ok(conflicts::page(frame)),
    }
}

/// Shows an error. Errors of the catalogue have paths and names of servers, which only the log shows.
fn failure(wrong: &anyhow::Error) -> Markup {
    let is_bad = wrong.is::<Bad>();
    if !is_bad {
        tracing::error!(error = format!("{wrong:#}"), "the page failed");
    }
    html! {
        section.problems aria-label="Error" {
            ul { li.error {
                @if is_bad { p { (text::short(&wrong.to_string())) } }
                @else { p { "The catalogue failed." } p.advice { "The log of metric-index has the reason." } }
            } }
        }
    }
}

async fn asset(Path(name): Path<String>) -> Response {
    let (kind, body) = match name.as_str() {
        // The style of the page of `pushring serve`, and what it lacks.
        "page.css" => {
            ("text/css; charset=utf-8", include_str!("../../../cli/src/command/serve/page/page.css"))
        }
        "index.css" => ("text/css; charset=utf-8", include_str!("index.css")),
        "icon.svg" => ("image/svg+xml", include_str!("../../../cli/src/command/serve/page/icon.svg")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    response(kind, "max-age=300", body.to_owned())
}

fn response(kind: &'static str, cache: &'static str, body: String) -> Response {
    let headers: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, cache),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, body).into_response()
}
