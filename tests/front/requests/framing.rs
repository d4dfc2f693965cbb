//! `Content-Length` and `Transfer-Encoding`, right and wrong, and a second request hidden in the first one.

use super::{Raw, headed};

const CHUNKED: &str = "transfer-encoding: chunked\r\n\r\n";
const HIDDEN: &str =
    "PUT /metrics/job/hidden HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\nx 1\n";

pub(super) fn list() -> Vec<Raw> {
    let lengths = [
        "content-length: 4\r\ncontent-length: 4",
        "content-length: 4, 4",
        "content-length: 4\r\ncontent-length: 5",
        "content-length: 4, 5",
        "content-length: -4",
        "content-length: +4",
        "content-length: 0x4",
        "content-length: 04",
        "content-length: 4.0",
        "content-length: 4a",
        "content-length: 4 4",
        "content-length:",
        "content-length: 99999999999999999999",
        "content-length: 18446744073709551620",
        "content-length: ４",
    ];
    let lengths = lengths.map(|line| {
        let name = line.split("\r\n").map(|line| format!("`{line}`")).collect::<Vec<_>>().join(", ");
        Raw::new(name, headed(format!("host: a\r\n{line}\r\nconnection: close\r\n\r\nx 1\n")))
    });
    let codings = [
        "chunked",
        "Chunked",
        "identity",
        "gzip, chunked",
        "chunked, identity",
        "identity, chunked",
        "chunked, chunked",
        "gzip",
        "xchunked",
        "chunked;a=b",
        "\"chunked\"",
        ", chunked",
        "chunked,",
        "",
    ];
    let codings = codings.map(|coding| {
        let body = "4\r\nx 1\n\r\n0\r\n\r\n";
        let head = format!("host: a\r\ntransfer-encoding: {coding}\r\nconnection: close\r\n\r\n{body}");
        Raw::new(format!("`Transfer-Encoding: {coding}`"), headed(head))
    });
    // Envoy joins the headers to `chunked`, but reads no chunks.
    let repeated = [
        "transfer-encoding: chunked\r\ntransfer-encoding:",
        "transfer-encoding: chunked\r\ntransfer-encoding:  ",
        "transfer-encoding: chunked\r\ntransfer-encoding:\t",
        "transfer-encoding: chunked\r\nx-a: b\r\nTransfer-Encoding:",
        "transfer-encoding:\r\ntransfer-encoding:",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding:\r\ntransfer-encoding:",
    ];
    let repeated = repeated.map(|lines| {
        let hidden = format!("host: a\r\n{lines}\r\n\r\n{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
        let smuggled = format!("host: a\r\n{lines}\r\n\r\n{HIDDEN}");
        [hidden, smuggled]
            .map(|head| Raw::new("a request hidden behind an empty `Transfer-Encoding`", headed(head)))
    });
    let delete = format!(
        "DELETE /metrics/job/seed HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding:\r\n\r\n{HIDDEN}"
    );
    let get = format!(
        "GET /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding:\r\n\r\n{HIDDEN}"
    );
    let others = [delete, get].map(|head| Raw::new("another method with an empty `Transfer-Encoding`", head));
    let chunks = [
        ("chunk extension", "4;a=b\r\nx 1\n\r\n0\r\n\r\n"),
        ("chunk extension in quotes", "4;a=\"b;c\"\r\nx 1\n\r\n0;z\r\n\r\n"),
        ("space after the chunk size", "4 \r\nx 1\n\r\n0\r\n\r\n"),
        ("space before the chunk size", " 4\r\nx 1\n\r\n0\r\n\r\n"),
        ("chunk size with zeros", "0004\r\nx 1\n\r\n000\r\n\r\n"),
        ("chunk size in upper case", "A\r\nx 1\nyyyy 1\r\n1\r\n\n\r\n0\r\n\r\n"),
        ("chunk size of 20 digits", "00000000000000000004\r\nx 1\n\r\n0\r\n\r\n"),
        ("chunk size that is too large", "FFFFFFFFFFFFFFFFF\r\nx 1\n\r\n0\r\n\r\n"),
        ("chunk size that is no number", "z\r\nx 1\n\r\n0\r\n\r\n"),
        ("negative chunk size", "-4\r\nx 1\n\r\n0\r\n\r\n"),
        ("chunk size with `0x`", "0x4\r\nx 1\n\r\n0\r\n\r\n"),
        ("no chunk size", "\r\nx 1\n\r\n0\r\n\r\n"),
        ("LF after a chunk size", "4\nx 1\n\r\n0\r\n\r\n"),
        ("LF after a chunk", "4\r\nx 1\n\n0\r\n\r\n"),
        ("chunk that is longer than its size", "2\r\nx 1\n\r\n0\r\n\r\n"),
        ("one chunk per byte", "1\r\nx\r\n1\r\n \r\n1\r\n1\r\n1\r\n\n\r\n0\r\n\r\n"),
        ("no chunk", "0\r\n\r\n"),
        ("trailer", "4\r\nx 1\n\r\n0\r\nx-a: b\r\n\r\n"),
        ("trailer `Content-Length`", "4\r\nx 1\n\r\n0\r\ncontent-length: 9\r\n\r\n"),
        ("trailer without a colon", "4\r\nx 1\n\r\n0\r\nxyz\r\n\r\n"),
    ];
    let chunks = chunks.map(|(name, body)| {
        Raw::new(name, headed(format!("host: a\r\nconnection: close\r\n{CHUNKED}{body}")))
    });
    let both = [
        (
            "`Content-Length` and chunked",
            format!("host: a\r\ncontent-length: 4\r\n{CHUNKED}4\r\nx 1\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked and `Content-Length`",
            "host: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n4\r\nx 1\n\r\n0\r\n\r\n"
                .to_owned(),
        ),
        (
            "a request hidden after the last chunk",
            format!("host: a\r\ncontent-length: {}\r\n{CHUNKED}0\r\n\r\n{HIDDEN}", 5 + HIDDEN.len()),
        ),
        (
            "a request hidden in a body by its length",
            format!(
                "host: a\r\ntransfer-encoding : chunked\r\ncontent-length: {}\r\n\r\n0\r\n\r\n{HIDDEN}",
                5 + HIDDEN.len()
            ),
        ),
        (
            "a request hidden behind `Transfer-Encoding: xchunked`",
            format!(
                "host: a\r\ntransfer-encoding: xchunked\r\ncontent-length: {}\r\n\r\n0\r\n\r\n{HIDDEN}",
                5 + HIDDEN.len()
            ),
        ),
        (
            "a request hidden behind two `Transfer-Encoding`",
            format!(
                "host: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\ncontent-length: {}\r\n\r\n0\r\n\r\n{HIDDEN}",
                5 + HIDDEN.len()
            ),
        ),
        (
            "a request hidden behind a tab before `chunked`",
            format!(
                "host: a\r\ntransfer-encoding:\tchunked\r\ncontent-length: {}\r\n\r\n0\r\n\r\n{HIDDEN}",
                5 + HIDDEN.len()
            ),
        ),
        (
            "a request hidden behind a header name with a space",
            format!(
                "host: a\r\ncontent-length: {}\r\nx transfer-encoding: chunked\r\n\r\n{HIDDEN}",
                HIDDEN.len()
            ),
        ),
        (
            "an empty `Transfer-Encoding`, then chunked",
            format!("host: a\r\ntransfer-encoding:\r\n{CHUNKED}4\r\nx 1\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked, then a line of blanks",
            "host: a\r\ntransfer-encoding: chunked\r\n \r\n\r\n4\r\nx 1\n\r\n0\r\n\r\n".to_owned(),
        ),
        ("a body without a length", "host: a\r\nconnection: close\r\n\r\nx 1\n".to_owned()),
    ];
    let both = both.map(|(name, head)| Raw::new(name, headed(head)));
    let old = [
        ("chunked in HTTP/1.0", format!("PUT /metrics/job/a HTTP/1.0\r\n{CHUNKED}4\r\nx 1\n\r\n0\r\n\r\n")),
        (
            "chunked in HTTP/1.0 with `Content-Length`",
            format!("PUT /metrics/job/a HTTP/1.0\r\ncontent-length: 4\r\n{CHUNKED}4\r\nx 1\n\r\n0\r\n\r\n"),
        ),
    ];
    let named = Raw::new(
        "`host: http-1.0-without-host`, no body, no length",
        headed("host: http-1.0-without-host\r\n\r\n"),
    );
    let old = old.map(|(name, bytes)| Raw::new(name, bytes));
    lengths
        .into_iter()
        .chain(codings)
        .chain(repeated.into_iter().flatten())
        .chain(others)
        .chain(chunks)
        .chain(both)
        .chain(old)
        .chain([named])
        .collect()
}
