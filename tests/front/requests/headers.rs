//! Headers: host, upgrades, expectations, forwarding, and many of them.

use super::{Raw, headed, put, request};

pub(super) fn list() -> Vec<Raw> {
    let lines = [
        "upgrade: TLS/1.2\r\nconnection: upgrade",
        "upgrade: TLS/1.3, TLS/1.2\r\nconnection: Upgrade",
        "upgrade: TLS/1.2\r\nconnection: upgrade, close",
        "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA",
        "upgrade: h2c\r\nconnection: upgrade",
        "upgrade: h2c, TLS/1.2\r\nconnection: upgrade",
        "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "upgrade: foo\r\nconnection: upgrade",
        "upgrade: foo/2, bar\r\nconnection: upgrade",
        "upgrade: HTTP/2.0\r\nconnection: upgrade",
        "upgrade: connect-udp\r\nconnection: upgrade",
        "upgrade: foo",
        "connection: upgrade",
        "expect: 100-continue",
        "expect: 100-Continue",
        "expect: 200-ok",
        "expect: 100-continue, 200-ok",
        "connection: close",
        "connection: keep-alive",
        "connection: foo",
        "connection: close, keep-alive",
        "connection: content-length",
        "connection: host",
        "connection: content-type\r\ncontent-type: text/plain",
        "connection: content-encoding",
        "proxy-connection: keep-alive",
        "keep-alive: timeout=5",
        "te: trailers",
        "te: gzip",
        "trailer: x-a",
        "x_under: 1",
        "x.dot: 1",
        "x-a: 1\r\nx-a: 2",
        "date: yesterday",
        "range: bytes=0-1",
        "if-match: \"a\"",
        "if-none-match: *",
        "if-unmodified-since: Thu, 01 Jan 1970 00:00:00 GMT",
        "cache-control: no-store, max-age=0",
        "max-forwards: 0",
        "via: 1.1 a",
        "early-data: 1",
        "cookie: a=b; c",
        "authorization: Basic YTpi",
        "proxy-authorization: Basic YTpi",
        "origin: http://a",
        "access-control-request-method: PUT",
        "referer: http://a/#b",
        "user-agent:",
        "accept: application/json",
        "accept-encoding: gzip, br",
        "accept-encoding: gzip;q=9",
        "x-forwarded-for: 1.2.3.4",
        "x-forwarded-for: 1.2.3.4, 10.0.0.1\r\nx-forwarded-for: ::1",
        "x-forwarded-for: not an address",
        "x-forwarded-proto: https",
        "x-forwarded-proto: ftp",
        "x-forwarded-proto:",
        "x-forwarded-host: b",
        "x-forwarded-port: 99999",
        "x-forwarded-client-cert: By=a",
        "x-real-ip: 1.2.3.4",
        "forwarded: for=1.2.3.4;proto=ftp",
        "x-http-method-override: DELETE",
        "x-original-url: /api/v1/admin/wipe",
        "x-rewrite-url: /api/v1/admin/wipe",
        "x-request-id: a\r\nx-request-id: b",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "b3: 0",
        "x-envoy-retry-on: 5xx\r\nx-envoy-max-retries: 9",
        "x-envoy-original-path: /b",
        "x-envoy-force-trace: 1",
        "x-pushring-destination: a",
        "x-pushring-gateway: a",
        "grpc-timeout: 1n",
        "cdn-loop: example",
        "cdn-loop: notpushring",
        "cdn-loop: pushring",
    ];
    let lines = lines.map(|line| {
        let name = line.split("\r\n").map(|line| format!("`{line}`")).collect::<Vec<_>>().join(", ");
        Raw::new(name, put("/metrics/job/a", line, "x 1\n"))
    });
    let hosts = [
        "a b",
        "a:99999",
        "a:",
        "[::1]",
        "[::1",
        "a/b",
        "user@a",
        "a,b",
        "*",
        "ä",
        "a%20b",
        "",
        "a\"b",
        "-",
        "127.0.0.1:9901",
    ];
    let hosts = hosts.map(|host| {
        Raw::new(format!("`Host: {host}`"), headed(format!("host: {host}\r\ncontent-length: 4\r\n\r\nx 1\n")))
    });
    let other = [
        ("no `Host`", headed("content-length: 4\r\n\r\nx 1\n")),
        ("two equal `Host`", headed("host: a\r\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n")),
        ("two different `Host`", headed("host: a\r\nhost: b\r\ncontent-length: 4\r\n\r\nx 1\n")),
        (
            "`Host` of 300 characters",
            headed(format!("host: {}\r\ncontent-length: 4\r\n\r\nx 1\n", "a".repeat(300))),
        ),
        ("a header of 50 KiB", put("/metrics/job/a", format!("x-a: {}", "a".repeat(50 << 10)), "x 1\n")),
        ("a header of 70 KiB", put("/metrics/job/a", format!("x-a: {}", "a".repeat(70 << 10)), "x 1\n")),
        ("a header of 500 KiB", put("/metrics/job/a", format!("x-a: {}", "a".repeat(500 << 10)), "x 1\n")),
        ("a header of 2 MiB", put("/metrics/job/a", format!("x-a: {}", "a".repeat(2 << 20)), "x 1\n")),
        ("a header name of 20 KiB", put("/metrics/job/a", format!("{}: b", "a".repeat(20 << 10)), "x 1\n")),
        ("90 headers", put("/metrics/job/a", many(90), "x 1\n")),
        ("150 headers", put("/metrics/job/a", many(150), "x 1\n")),
        ("900 headers", put("/metrics/job/a", many(900), "x 1\n")),
        ("5000 headers", put("/metrics/job/a", many(5000), "x 1\n")),
        (
            "`Expect: 100-continue` in a DELETE",
            request("DELETE", "/metrics/job/seed", "expect: 100-continue", ""),
        ),
        (
            "`Expect: 100-continue` in HTTP/1.0",
            b"PUT /metrics/job/a HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nx 1\n".to_vec(),
        ),
    ];
    let other = other.map(|(name, bytes)| Raw::new(name, bytes));
    lines.into_iter().chain(hosts).chain(other).collect()
}

fn many(count: usize) -> String {
    (0..count).map(|number| format!("x-{number}: a")).collect::<Vec<_>>().join("\r\n")
}
