//! Methods, on pushes and on other paths.

use super::{Raw, request};

pub(super) fn list() -> Vec<Raw> {
    let methods = [
        "GET", "HEAD", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND", "MKCOL",
        "PURGE", "QUERY", "LOCK", "FOO", "put", "Put", "delete", "get", "P-T", "PUT!", "P(T", "P\u{e4}T",
        "PRI", "X",
    ];
    let methods = methods.into_iter().map(|method| {
        let body = if ["PUT", "POST", "PATCH", "put", "Put"].contains(&method) { "x 1\n" } else { "" };
        Raw::new(format!("`{method} /metrics/job/a`"), request(method, "/metrics/job/a", "", body))
    });
    let paths = [
        "DELETE /metrics/job/seed",
        "DELETE /metrics/job@base64/c2VlZA",
        "DELETE /metrics/job/seed/",
        "DELETE /metrics/job/seed/instance/b",
        "DELETE /metrics/job/",
        "DELETE /metrics/job/a/b",
        "DELETE /metrics",
        "DELETE /",
        "DELETE /metrics//job/seed",
        "DELETE /metrics/job/a%FF",
        "POST /metrics/job/",
        "POST /metrics/job//a",
        "POST /metrics/job/a/instance/",
        "GET /metrics/job/a?q",
        "GET /metrics/job/",
        "GET /metrics//job/a",
        "GET /metrics/job/a/b",
        "GET /metrics/job/a%FF",
        "HEAD /metrics/job/a/b/c",
        "OPTIONS /metrics",
        "OPTIONS *",
        "OPTIONS /api/v1/status",
        "CONNECT a:80",
        "TRACE /",
        "GET /-/healthy",
        "GET /-/ready",
        "HEAD /-/healthy",
        "HEAD /-/ready",
        "GET /-/healthy?q",
        "GET /-/healthy/",
        "GET //-/healthy",
        "POST /-/healthy",
        "OPTIONS /-/ready",
        "GET /-/quit",
        "GET /",
        "GET /metrics",
        "GET /metrics/",
        "GET /status",
        "GET /api/v1/status",
        "GET /api/v1/metrics",
        "GET /favicon.ico",
        "GET /static/../../etc/passwd",
        "GET /-/pushring",
        "GET /-/pushring/owner?path=/metrics/job/a",
        "PUT /-/pushring/owner?path=/metrics/job/a",
    ];
    let paths = paths.map(|line| {
        let (method, target) = line.split_once(' ').unwrap();
        Raw::new(format!("`{line}`"), request(method, target, "", ""))
    });
    let accepts = [
        "*/*",
        "text/html",
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json, text/plain, */*",
        "text/plain, application/json;q=0.5",
        "application/json;q=0",
        "application/json; q=0.000",
        "application/json; Q=0; a=b",
        "application/json;q=0.1",
        "application/jsonlines",
        "application/vnd.api+json",
        "application/json\r\naccept: text/html",
        "application/json; q = 0",
        "application/json;q=\"0\"",
        "application/json;q=-1",
        "application/json;q=",
        "application/json;q",
        "application/json;profile=\"a,b\"",
        "application/json;profile=\"a;q=0\"",
    ];
    let accepts = accepts.into_iter().flat_map(|accept| ["GET", "HEAD"].map(|method| (accept, method)));
    let accepts = accepts.map(|(accept, method)| {
        let line = format!("accept: {accept}");
        let shown = line.replace("\r\n", "`, `");
        Raw::new(format!("`{method} /metrics/job/a`, `{shown}`"), request(method, "/metrics/job/a", line, ""))
    });
    let bodies = [
        Raw::new("GET with a body", request("GET", "/metrics/job/a", "", "x 1\n")),
        Raw::new("DELETE with a body", request("DELETE", "/metrics/job/seed", "", "x 1\n")),
        Raw::new("no method", b" /metrics/job/a HTTP/1.1\r\nhost: a\r\n\r\n".as_slice()),
        Raw::new("method of 2 KiB", request(&"A".repeat(2048), "/metrics/job/a", "", "")),
        Raw::new(
            "DELETE without `Content-Length`",
            b"DELETE /metrics/job/seed HTTP/1.1\r\nhost: a\r\n\r\n".as_slice(),
        ),
    ];
    methods.chain(paths).chain(accepts).chain(bodies).collect()
}
