//! Chunks, trailers and codings of a body, around what a Pushgateway accepts.

use super::{Raw, headed, kind};

pub(super) fn list() -> Vec<Raw> {
    let chunked = |name, bodies: &[&str]| {
        let head = "host: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        kind(name, bodies.iter().map(|body| headed(format!("{head}{body}"))))
    };
    let coded = |name, version: &str, lines: &[&str]| {
        let host = if version == "1.1" { "host: a\r\nconnection: close\r\n" } else { "" };
        let requests = lines.iter().map(|line| {
            format!("PUT /metrics/job/a HTTP/{version}\r\n{host}{line}\r\n\r\n4\r\nx 1\n\r\n0\r\n\r\n")
                .into_bytes()
        });
        kind(name, requests)
    };
    let extension = |length: usize| format!("4;{}\r\nx 1\n\r\n0\r\n\r\n", "a".repeat(length));
    let trailer = |length: usize| format!("4\r\nx 1\n\r\n0\r\nx-a: {}\r\n\r\n", "a".repeat(length));
    let trailers: String = (0..1000).map(|number| format!("x-{number}: a\r\n")).collect();
    let small =
        format!("4\r\nx 1\n\r\n{}1\r\n\n\r\n0\r\n\r\n", format!("1;{}\r\n#\r\n", "a".repeat(90)).repeat(300));
    let filler = "x".repeat(5000);
    let kinds = [
        chunked("chunk extension of 4,000 bytes", &[&extension(4000)]),
        chunked(
            "chunk extension of 4,096 bytes and more, or 90 bytes at every byte",
            &[&extension(4096), &extension(5000), &extension(70_000), &small],
        ),
        chunked(
            "chunk extension in other forms",
            &[
                "4;\r\nx 1\n\r\n0\r\n\r\n",
                "4;;\r\nx 1\n\r\n0\r\n\r\n",
                "4; a\r\nx 1\n\r\n0\r\n\r\n",
                "4;a=\"\r\nx 1\n\r\n0\r\n\r\n",
                "4;=b\r\nx 1\n\r\n0;a\r\n\r\n",
                "4;ä\r\nx 1\n\r\n0\r\n\r\n",
            ],
        ),
        chunked(
            "space or tab before a chunk extension",
            &["4 ;a\r\nx 1\n\r\n0\r\n\r\n", "4\t;a\r\nx 1\n\r\n0 ;a\r\n\r\n"],
        ),
        chunked(
            "invalid chunk size",
            &[
                "+4\r\nx 1\n\r\n0\r\n\r\n",
                "#4\r\nx 1\n\r\n0\r\n\r\n",
                "4.0\r\nx 1\n\r\n0\r\n\r\n",
                "4,\r\nx 1\n\r\n0\r\n\r\n",
                "4h\r\nx 1\n\r\n0\r\n\r\n",
                "4_\r\nx 1\n\r\n0\r\n\r\n",
                "10000000000000004\r\nx 1\n\r\n0\r\n\r\n",
            ],
        ),
        chunked(
            "chunk size of 17 digits",
            &["00000000000000004\r\nx 1\n\r\n0\r\n\r\n", "4\r\nx 1\n\r\n00000000000000000\r\n\r\n"],
        ),
        chunked(
            "other bytes than CR LF after a chunk",
            &[
                "4\r\nx 1\n\r\r\n0\r\n\r\n",
                "4\r\nx 1\n \r\n0\r\n\r\n",
                "4\r\nx 1\n\t\r\n0\r\n\r\n",
                "4\r\nx 1\na\r\n0\r\n\r\n",
            ],
        ),
        chunked(
            "LF after the last chunk or the trailers",
            &[&format!("4\r\nx 1\n\r\n0\r\n\n{filler}"), &format!("4\r\nx 1\n\r\n0\r\nx-a: b\n\n{filler}")],
        ),
        chunked(
            "trailers that a Pushgateway ignores",
            &[
                "4\r\nx 1\n\r\n0\r\ncontent-encoding: gzip\r\n\r\n",
                "4\r\nx 1\n\r\n0\r\ncontent-type: a\r\nhost: b\r\n\r\n",
                "4\r\nx 1\n\r\n0\r\ntransfer-encoding: gzip\r\n\r\n",
                "4\r\nx 1\n\r\n0\r\nx-a: b\r\nx-a: c\r\n\r\n",
                "4\r\nx 1\n\r\n0\r\ncdn-loop: pushring\r\nx-pushring-destination: a\r\n\r\n",
            ],
        ),
        chunked(
            "space in the name of a trailer",
            &["4\r\nx 1\n\r\n0\r\nx-a : b\r\n\r\n", "4\r\nx 1\n\r\n0\r\nx a: b\r\n\r\n"],
        ),
        chunked(
            "CR in a trailer",
            &["4\r\nx 1\n\r\n0\r\nx-a: a\rb\r\n\r\n", "4\r\nx 1\n\r\n0\r\nx-a: b\r\r\n\r\n"],
        ),
        chunked("trailer of 1 KiB", &[&trailer(1 << 10)]),
        chunked("trailers of 10 KiB", &[&trailer(10 << 10), &format!("4\r\nx 1\n\r\n0\r\n{trailers}\r\n")]),
        chunked("trailer of 100 KiB", &[&trailer(100 << 10)]),
        coded(
            "chunked and any `Content-Length`",
            "1.1",
            &[
                "transfer-encoding: CHUNKED\r\ncontent-length: 4",
                "content-length: 14\r\ntransfer-encoding: chunked",
                "transfer-encoding: chunked\r\ncontent-length: 0",
                "transfer-encoding:  chunked \r\ncontent-length: 4",
            ],
        ),
        coded(
            "another `Transfer-Encoding`, also in two lines",
            "1.1",
            &[
                "transfer-encoding: deflate",
                "transfer-encoding: chunked;q=1",
                "transfer-encoding: trailers",
                "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
                "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
                "transfer-encoding: identity\r\ntransfer-encoding: chunked",
            ],
        ),
        coded(
            "another `Transfer-Encoding` and `Content-Length`",
            "1.1",
            &[
                "transfer-encoding: gzip, chunked\r\ncontent-length: 4",
                "content-length: 14\r\ntransfer-encoding: gzip",
                "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\ncontent-length: 4",
                "transfer-encoding: identity\r\ncontent-length: 14",
                "transfer-encoding:\r\ncontent-length: 14",
                "transfer-encoding: \"chunked\"\r\ncontent-length: 14",
            ],
        ),
        coded(
            "another `Transfer-Encoding` in HTTP/1.0",
            "1.0",
            &[
                "transfer-encoding: gzip",
                "transfer-encoding: identity",
                "transfer-encoding: gzip, chunked",
                "transfer-encoding: xchunked",
            ],
        ),
        coded(
            "`Transfer-Encoding` and `Content-Length: 0` in HTTP/1.0",
            "1.0",
            &["transfer-encoding: chunked\r\ncontent-length: 0"],
        ),
    ];
    kinds.into_iter().flatten().collect()
}
