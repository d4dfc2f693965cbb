//! Raw requests, as bytes on the wire. Everything that a client might send to a Pushgateway, and some that none should.

mod bodies;
mod chunks;
mod framing;
mod headers;
mod hops;
mod hosts;
mod lines;
mod methods;
mod paths;
mod spaces;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A request with the name that the table in docs/differences.md has for it. Requests with the same name have the same result.
pub(crate) struct Raw {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// The `--web.route-prefix` of the gateways.
    pub(crate) prefix: &'static str,
    /// Method and target are what matters, so it is also sent in redirect mode. A client that follows a redirect writes
    /// version, headers and framing of the second request itself.
    pub(crate) redirect: bool,
}

impl Raw {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into(), prefix: "", redirect: false }
    }

    /// Returns the start of the request, for messages.
    pub(crate) fn text(&self) -> String {
        self.bytes[..self.bytes.len().min(200)].escape_ascii().to_string()
    }
}

/// Returns all requests.
pub(crate) fn all() -> Vec<Raw> {
    let wire = [
        lines::list(),
        spaces::list(),
        headers::list(),
        hops::list(),
        framing::list(),
        chunks::list(),
        bodies::list(),
    ];
    let targets = [paths::list(), hosts::list(), methods::list(), paths::under_a_prefix()];
    let targets = targets.into_iter().flatten().map(|raw| Raw { redirect: true, ..raw });
    wire.into_iter().flatten().chain(targets).collect()
}

/// Requests of one kind, which have the same result.
fn kind(name: &str, requests: impl IntoIterator<Item = Vec<u8>>) -> Vec<Raw> {
    requests.into_iter().map(|bytes| Raw::new(name, bytes)).collect()
}

/// A PUT with `line` as a further header; no line if it is empty.
fn put(target: impl AsRef<[u8]>, line: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    request("PUT", target, line, body)
}

/// A request with a correct `content-length`.
fn request(
    method: &str,
    target: impl AsRef<[u8]>,
    line: impl AsRef<[u8]>,
    body: impl AsRef<[u8]>,
) -> Vec<u8> {
    let (line, body) = (line.as_ref(), body.as_ref());
    let length = format!("\r\nhost: a\r\ncontent-length: {}\r\n", body.len());
    let end: &[u8] = if line.is_empty() { b"\r\n" } else { b"\r\n\r\n" };
    [method.as_bytes(), b" ", target.as_ref(), b" HTTP/1.1", length.as_bytes(), line, end, body].concat()
}

/// A PUT that the test completes: `head` starts after the request line.
fn headed(head: impl AsRef<[u8]>) -> Vec<u8> {
    [b"PUT /metrics/job/a HTTP/1.1\r\n", head.as_ref()].concat()
}

fn base64(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}
