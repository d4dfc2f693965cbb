//! Versions, line ends, and the shape of the head.

use super::{Raw, headed};

const REST: &str = "host: a\r\ncontent-length: 4\r\n\r\nx 1\n";

pub(super) fn list() -> Vec<Raw> {
    let versions = [
        "HTTP/1.0",
        "HTTP/1.1",
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/1.9",
        "HTTP/2.0",
        "HTTP/3.0",
        "HTTP/1",
        "HTTP/01.1",
        "HTTP/1.01",
        "HTTP/1.1.1",
        "http/1.1",
        "HTTPS/1.1",
        "XTTP/1.1",
        "HTTP/",
        "HTTP 1.1",
    ];
    let versions = versions.map(|version| {
        Raw::new(format!("version `{version}`"), format!("PUT /metrics/job/a {version}\r\n{REST}"))
    });
    let shapes = [
        ("HTTP/1.0 without `Host`", "PUT /metrics/job/a HTTP/1.0\r\ncontent-length: 4\r\n\r\nx 1\n"),
        (
            "HTTP/1.0 with keep-alive",
            "PUT /metrics/job/a HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 4\r\n\r\nx 1\n",
        ),
        ("HTTP/1.0 without `Content-Length`", "PUT /metrics/job/a HTTP/1.0\r\n\r\n"),
        ("HTTP/1.0 health check of HAProxy", "GET /-/ready HTTP/1.0\r\n\r\n"),
        ("HTTP/1.0 `OPTIONS`, HAProxy's oldest check", "OPTIONS / HTTP/1.0\r\n\r\n"),
        ("HTTP/0.9", "GET /metrics/job/a\r\n"),
        ("LF line ends", "PUT /metrics/job/a HTTP/1.1\nhost: a\ncontent-length: 4\n\nx 1\n"),
        ("CRLF and LF mixed", "PUT /metrics/job/a HTTP/1.1\r\nhost: a\ncontent-length: 4\r\n\nx 1\n"),
        (
            "LF after the request line",
            "PUT /metrics/job/a HTTP/1.1\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n",
        ),
        ("LF before the body", "PUT /metrics/job/a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\nx 1\n"),
        ("empty line first", "\r\nPUT /metrics/job/a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n"),
        (
            "two spaces after the method",
            "PUT  /metrics/job/a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n",
        ),
        (
            "two spaces before the version",
            "PUT /metrics/job/a  HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n",
        ),
        (
            "space after the version",
            "PUT /metrics/job/a HTTP/1.1 \r\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n",
        ),
        (
            "space before the method",
            " PUT /metrics/job/a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n",
        ),
        (
            "tab in the request line",
            "PUT\t/metrics/job/a\tHTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n",
        ),
        ("request line without a target", "PUT HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n"),
    ];
    let heads = [
        ("no headers", "\r\n"),
        ("folded header", "host: a\r\nx-a: b\r\n c\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("header folded by a tab", "host: a\r\nx-a: b\r\n\tc\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("folded `Content-Length`", "host: a\r\ncontent-length:\r\n 4\r\n\r\nx 1\n"),
        ("space before the colon", "host: a\r\nx-a : b\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("space before the colon of `Content-Length`", "host: a\r\ncontent-length : 4\r\n\r\nx 1\n"),
        ("space before the first header", " host: a\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("no space after the colon", "host:a\r\ncontent-length:4\r\n\r\nx 1\n"),
        ("spaces and tabs around a value", "host: a\r\ncontent-length: \t 4 \t\r\n\r\nx 1\n"),
        ("header without a colon", "host: a\r\nxyz\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("header without a name", "host: a\r\n: b\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("header name with a space", "host: a\r\nx a: b\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("header name with parentheses", "host: a\r\nx(a): b\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("header name beyond ASCII", "host: a\r\nxä: b\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("upper-case header names", "HOST: a\r\nCONTENT-LENGTH: 4\r\n\r\nx 1\n"),
        ("header without a value", "host: a\r\nx-a:\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("header value beyond ASCII", "host: a\r\nx-a: ä\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("NUL in a header value", "host: a\r\nx-a: b\0c\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("control character in a header value", "host: a\r\nx-a: b\x01c\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("DEL in a header value", "host: a\r\nx-a: b\x7fc\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ("CR in a header value", "host: a\r\nx-a: b\rc\r\ncontent-length: 4\r\n\r\nx 1\n"),
    ];
    let other = [
        Raw::new("TLS without TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n".as_slice()),
        Raw::new(
            "header value that is not UTF-8",
            headed(b"host: a\r\nx-a: \xff\xfe\r\ncontent-length: 4\r\n\r\nx 1\n"),
        ),
    ];
    let shapes = shapes.map(|(name, bytes)| Raw::new(name, bytes));
    let heads = heads.map(|(name, head)| Raw::new(name, headed(head)));
    versions.into_iter().chain(shapes).chain(heads).chain(other).collect()
}
