//! The page for people: what they know from the page of a Pushgateway, for the whole fleet. The server renders everything;
//! JavaScript only deletes.

mod gateways;
mod groups;
mod labels;
mod layout;
mod mark;
mod metrics;
mod problems;
mod query;
mod search;
mod select;
mod status;
#[cfg(test)]
mod tests;
mod text;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use pushring_router::Router;

use super::view::FleetView;
use layout::Tab;
use query::PageQuery;

/// Nothing but our own files; `connect-src` is for deletions.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Answers `/`. `query` is the part of the target after the question mark.
pub(super) fn groups(view: &FleetView, query: &str, headers: &HeaderMap) -> Response {
    let content = groups::page(view, &PageQuery::parse(query), &origin(headers));
    html(layout::document(view, Tab::Groups, &content))
}

/// Answers `/status`, with tables of facts about the program and their titles.
pub(super) fn status(view: &FleetView, facts: &[(&str, Vec<(String, String)>)]) -> Response {
    html(layout::document(view, Tab::Status, &status::page(view, facts)))
}

/// Answers `/static/{name}`.
pub(super) fn asset(router: &Router, name: &str) -> Option<Response> {
    let (kind, body) = match name {
        "page.css" => ("text/css; charset=utf-8", include_str!("page.css").to_owned()),
        "page.js" => ("text/javascript; charset=utf-8", include_str!("page.js").to_owned()),
        "icon.svg" => ("image/svg+xml", include_str!("icon.svg").to_owned()),
        "ring.svg" => ("image/svg+xml", gateways::ring(router)),
        _ => return None,
    };
    Some(response(kind, "max-age=300", body))
}

fn html(body: String) -> Response {
    response("text/html; charset=utf-8", "no-store", body)
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

/// Returns the address at which the browser reached us, through Envoy or not.
fn origin(headers: &HeaderMap) -> String {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = header(HOST.as_str()).and_then(|host| host.parse::<Authority>().ok());
    let scheme = header("x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http");
    host.map_or_else(|| format!("{scheme}://ENVOY:9091"), |host| format!("{scheme}://{host}"))
}
