//! The sender and the tenant of a request.

use axum::extract::Request;
use axum::http::HeaderMap;

use super::answer::Rejection;
use crate::server::Peer;

/// Longest name of a tenant, in bytes: the limit of Mimir.
const MAX_TENANT: usize = 150;
/// Longest text that names a sender or an owner.
const MAX_NAME: usize = 256;

/// The header in which Envoy names the client of a copy; X-Forwarded-For of a copy ends with Envoy itself.
const SENDER: &str = "x-pushring-sender";

/// Returns the tenant: of the path `/insert/TENANT/…`, else of the header of Mimir and Cortex, else empty.
pub(super) fn tenant(request: &Request) -> Result<String, Rejection> {
    let in_path = || request.uri().path().strip_prefix("/insert/")?.split_once('/').map(|(tenant, _)| tenant);
    let in_header = || match request.headers().get("x-scope-orgid").map(|value| value.to_str()) {
        Some(Ok(tenant)) => Ok(tenant.trim()),
        Some(Err(_)) => Err(Rejection::bad("tenant", "X-Scope-OrgID is not plain text")),
        None => Ok(""),
    };
    let tenant = in_path().map_or_else(in_header, Ok)?;
    if tenant.len() > MAX_TENANT {
        return Err(Rejection::bad("tenant", format!("the tenant has more than {MAX_TENANT} bytes")));
    }
    Ok(tenant.to_owned())
}

/// Returns the address of the client: what Envoy says of a copy, else the last one in X-Forwarded-For, which Envoy has seen,
/// else that of the connection.
pub(super) fn sender(request: &Request) -> String {
    let copied = text(request.headers(), SENDER);
    let forwarded = text(request.headers(), "x-forwarded-for").rsplit(',').next().unwrap_or_default();
    match [copied, forwarded].map(str::trim).into_iter().find(|address| !address.is_empty()) {
        Some(address) => address.to_owned(),
        None => {
            let peer = request.extensions().get::<Peer>();
            peer.map(|Peer(address)| address.ip().to_string()).unwrap_or_default()
        }
    }
}

/// Returns a header as text; empty if it is absent, not text, or long.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let text = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text.len() > MAX_NAME { "" } else { text }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn the_sender_of_a_copy_is_the_client_and_not_envoy() {
        for (copied, forwarded, expected) in [
            ("10.0.0.1", "10.0.0.1,10.0.0.2", "10.0.0.1"),
            ("", "10.0.0.1, 10.0.0.2", "10.0.0.2"),
            ("", " ", ""),
        ] {
            let request = Request::builder().header(SENDER, copied).header("x-forwarded-for", forwarded);
            assert_eq!(sender(&request.body(Body::empty()).unwrap()), expected);
        }
    }
}
