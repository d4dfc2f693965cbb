//! The headers that are passed on.

use axum::http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName};

/// Headers of a connection, not of a request (RFC 9110, 7.6.1), and those that the client of the next connection sets.
const HOP: [HeaderName; 10] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Returns the headers without those of the connection.
pub(super) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for value in headers.get_all(CONNECTION) {
        for name in value.to_str().unwrap_or_default().split(',') {
            kept.remove(name.trim());
        }
    }
    HOP.into_iter().chain([HeaderName::from_static("keep-alive")]).for_each(|name| {
        kept.remove(name);
    });
    kept
}

/// As [`end_to_end`], for a request: its answer arrives as plain text, which an error of this server may be added to.
pub(super) fn of_request(headers: &HeaderMap) -> HeaderMap {
    let mut kept = end_to_end(headers);
    kept.remove(ACCEPT_ENCODING);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("host", "index"),
            ("content-length", "3"),
            ("accept-encoding", "gzip"),
            ("x-scope-orgid", "a"),
            ("content-encoding", "zstd"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let kept = of_request(&headers);
        let mut names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-encoding", "x-scope-orgid"]);
    }
}
