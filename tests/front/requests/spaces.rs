//! Spaces and line ends where none belong.

use super::{Raw, headed, kind};

const HEAD: &str = "HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\nx 1\n";

pub(super) fn list() -> Vec<Raw> {
    let blanks = ["\r", "\r\r", "\t", "  "];
    let ends = ["\n", "\r\n", "\n\n", " \r\n", "\r\n "];
    let after = |method: &str, blank: &str| format!("{method}{blank}/metrics/job/a {HEAD}").into_bytes();
    let before = |blank: &str| format!("PUT /metrics/job/a{blank}{HEAD}").into_bytes();
    let version = |blank: &str| {
        format!("PUT /metrics/job/a {}", HEAD.replacen("\r\n", &format!("{blank}\r\n"), 1)).into_bytes()
    };
    let first = |blank: &str| format!("{blank}PUT /metrics/job/a {HEAD}").into_bytes();
    let value = |line: &str| headed(format!("host: a\r\nconnection: close\r\n{line}\r\n\r\nx 1\n"));
    let whole = |line: &str| line.as_bytes().to_vec();
    let kinds = [
        kind("CR, tab or two spaces after the method", blanks.iter().map(|blank| after("PUT", blank))),
        kind("CR, tab or two spaces before the version", blanks.iter().map(|blank| before(blank))),
        kind("CR, tab or space after the version", blanks.iter().map(|blank| version(blank))),
        kind(
            "CR or line ends before the method",
            ["\r", "\r\r", "\n", "\r\n\r\n", "\n\n\n"].iter().map(|blank| first(blank)),
        ),
        kind(
            "other bytes before the method",
            [" ", "\t", "\0", "\u{feff}", "a\r\n"].iter().map(|blank| first(blank)),
        ),
        kind("line end before the version, so HTTP/0.9", ends.iter().map(|end| before(end))),
        kind("`PUT` and `POST` in HTTP/0.9", ["PUT /metrics/job/a\r\n", "POST /metrics/job/a\n"].map(whole)),
        kind(
            "`DELETE` in HTTP/0.9",
            ["DELETE /metrics/job/seed\r\n", "DELETE /metrics/job/seed\n"].map(whole),
        ),
        kind("health check in HTTP/0.9", ["GET /-/ready\r\n", "GET /-/healthy\n"].map(whole)),
        kind(
            "CR in or around a header value",
            [
                "x-a:\rb\r\ncontent-length: 4",
                "x-a: b\r\r\ncontent-length: 4",
                "content-length: \r4",
                "content-length: 4\r",
                "content-type: text/plain\r\r\ncontent-length: 4",
            ]
            .map(value),
        ),
        kind("a line of one space between headers", ["x-a: b\r\n \r\ncontent-length: 4"].map(value)),
        kind(
            "CR, tab or NUL in or before a header name",
            [
                "x\ra: b\r\ncontent-length: 4",
                "\rx: b\r\ncontent-length: 4",
                "x\ta: b\r\ncontent-length: 4",
                "x\0: b\r\ncontent-length: 4",
            ]
            .map(value),
        ),
        kind(
            "other `Content-Length`",
            ["content-length: 4;", "content-length: 4.", "content-length: 1e1"].map(value),
        ),
    ];
    kinds.into_iter().flatten().collect()
}
