//! The page for people: groups of the whole fleet.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::view::FleetView;

/// Answers `/` and `/status`. `query` is the part of the target after the question mark.
pub(super) fn answer(view: &FleetView, _query: &str) -> Response {
    let page = format!(
        "<!DOCTYPE html>\n<title>pushring</title>\n<p>{} groups on {} gateways: <a href=\"metrics\">metrics</a>\n",
        view.groups.len(),
        view.gateways.len()
    );
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// Answers `/static/{name}`.
pub(super) fn asset(_name: &str) -> Option<Response> {
    None
}
