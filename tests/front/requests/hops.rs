//! Headers that a proxy must not pass on, and repeated headers.

use super::{Raw, bodies, kind, put, request};

pub(super) fn list() -> Vec<Raw> {
    let lines =
        |name, lines: &[&str]| kind(name, lines.iter().map(|line| put("/metrics/job/a", line, "x 1\n")));
    let body = |name, lines: &[String], body: &[u8]| {
        kind(name, lines.iter().map(|line| put("/metrics/job/a", line, body)))
    };
    let gzip = &bodies::gzip();
    let protobuf = &bodies::protobuf();
    let kinds = [
        lines(
            "`connection` that names a header without meaning for a push",
            &[
                "connection: te\r\nte: trailers",
                "connection: te\r\nte: gzip",
                "connection: trailer\r\ntrailer: x-a",
                "connection: x-a\r\nx-a: 1",
                "connection: upgrade, x-a\r\nupgrade: foo",
                "connection: connection, close",
                "connection: x-request-id",
                "connection: cdn-loop\r\ncdn-loop: a",
                "connection: \"close\"",
                "connection: *",
                "connection: transfer-encoding",
                "connection: x-pushring-destination",
                "connection: keep-alive, keep-alive",
                "connection: date\r\ndate: x",
                "connection: cdn-loop\r\ncdn-loop: pushring",
                "connection: a b",
                "connection:",
                "connection: close\r\nconnection: keep-alive",
                "connection: a,b,c,d,e,f,g,h,i",
            ],
        ),
        lines(
            "`connection` that names `x-forwarded-…` or a name with a colon",
            &[
                "connection: x-forwarded-for",
                "connection: x-forwarded-host",
                "connection: close, x-forwarded-proto",
                "connection: :path",
                "connection: :method",
                "connection: :authority",
                "connection: :foo",
            ],
        ),
        lines(
            "`connection` with ten names, or `te` of 256 characters",
            &["connection: a,b,c,d,e,f,g,h,i,j", &format!("connection: te\r\nte: {}", "a".repeat(256))],
        ),
        body(
            "`connection: content-encoding`, gzip",
            &["connection: content-encoding\r\ncontent-encoding: gzip".into()],
            gzip,
        ),
        body(
            "`connection: content-type`, protobuf",
            &[format!("connection: content-type\r\n{}", typed())],
            protobuf,
        ),
        lines(
            "`connection: content-encoding` or `content-type`, but a text",
            &[
                "connection: content-encoding\r\ncontent-encoding: gzip",
                &format!("connection: content-type\r\n{}", typed()),
            ],
        ),
        lines(
            "`connection: expect`, `expect: 100-continue`",
            &["connection: expect\r\nexpect: 100-continue"],
        ),
        lines("`connection: expect`, `expect: 200-ok`", &["connection: expect\r\nexpect: 200-ok"]),
        body(
            "two `content-encoding`, gzip",
            &pairs("content-encoding", ["gzip", "snappy", "identity", "br", "GZIP", ""]),
            gzip,
        ),
        body(
            "two `content-encoding`, text",
            &pairs("content-encoding", ["gzip", "snappy", "identity", "br", "gzip, snappy", "snappy, gzip"]),
            b"x 1\n",
        ),
        body("two `content-type`, protobuf", &pairs("content-type", TYPES), protobuf),
        body("two `content-type`, text", &pairs("content-type", TYPES), b"x 1\n"),
        body(
            "an empty `content-encoding`, then gzip",
            &["content-encoding:\r\ncontent-encoding: gzip".into()],
            gzip,
        ),
        body("an empty `content-type`, then protobuf", &[format!("content-type:\r\n{}", typed())], protobuf),
        lines(
            "an empty `content-encoding` or `content-type`, then gzip or protobuf, but a text",
            &["content-encoding:\r\ncontent-encoding: gzip", &format!("content-type:\r\n{}", typed())],
        ),
        body(
            "`content-encoding: gzip,gzip`, gzip",
            &["content-encoding: gzip,gzip".into(), "content-encoding: gzip,br".into()],
            gzip,
        ),
        body("`content-type` of protobuf, comma, more", &[format!("{},text/plain", typed())], protobuf),
        lines(
            "`content-encoding: gzip,gzip`, but a text",
            &["content-encoding: gzip,gzip", &format!("{},text/plain", typed())],
        ),
        body("comma and space in `content-type`", &[format!("{}, text/plain", typed())], b"x 1\n"),
        body("comma in quotes in `content-type`", &[format!("{}; a=\"b,c\"", typed())], protobuf),
        lines(
            "two `expect`",
            &["expect: 100-continue\r\nexpect: 200-ok", "expect: 100-continue\r\nexpect: 100-continue"],
        ),
        lines(
            "`expect: 200-ok`, then another",
            &["expect: 200-ok\r\nexpect: 100-continue", "expect: 200-ok\r\nexpect: 200-ok"],
        ),
        lines("an empty `expect`, then `100-continue`", &["expect:\r\nexpect: 100-continue"]),
        lines(
            "other `expect`",
            &["expect:", "expect: a", "expect: 100-continue;a", "expect: 100", "expect: \"100-continue\""],
        ),
        lines("`expect: 200-ok,100-continue`", &["expect: 200-ok,100-continue"]),
        lines("`cdn-loop` of another proxy, then `pushring`", &["cdn-loop: a\r\ncdn-loop: pushring"]),
        lines(
            "two lines of any other header",
            &[
                "te: gzip\r\nte: trailers",
                "upgrade: foo\r\nupgrade: bar",
                "authorization: a\r\nauthorization: b",
                "accept: a\r\naccept: b",
                "user-agent: a\r\nuser-agent: b",
                "date: a\r\ndate: b",
                "trailer: a\r\ntrailer: b",
                "x-forwarded-for: 1.1.1.1\r\nx-forwarded-for: b",
                "x-forwarded-proto: ftp\r\nx-forwarded-proto: x",
                "x-forwarded-host: a\r\nx-forwarded-host: b",
                "cdn-loop: a\r\ncdn-loop: b",
                "via: a\r\nvia: b",
                "content-language: a\r\ncontent-language: b",
                "grpc-timeout: 1n\r\ngrpc-timeout: 2n",
                "range: a\r\nrange: b",
            ],
        ),
    ];
    let deletes = [
        ("`DELETE` with `expect: 200-ok`, then `100-continue`", "expect: 200-ok\r\nexpect: 100-continue"),
        (
            "`DELETE` with two codings and types",
            "content-encoding: gzip\r\ncontent-encoding: br\r\ncontent-type: a\r\ncontent-type: b",
        ),
    ];
    let deletes =
        deletes.map(|(name, line)| Raw::new(name, request("DELETE", "/metrics/job/seed", line, "")));
    kinds.into_iter().flatten().chain(deletes).collect()
}

const TYPES: [&str; 5] =
    ["text/plain", bodies::DELIMITED, "nonsense", "application/json", "text/plain; a=\"b,c\""];

fn typed() -> String {
    format!("content-type: {}", bodies::DELIMITED)
}

/// Every value twice, and followed by every other.
fn pairs<const N: usize>(name: &str, values: [&str; N]) -> Vec<String> {
    let second = |first| values.map(|second| format!("{name}: {first}\r\n{name}: {second}"));
    // An empty line is first nowhere: Envoy drops it.
    values.into_iter().filter(|first| !first.is_empty()).flat_map(second).collect()
}
