//! Bodies, content types and content encodings.

use super::{Raw, base64, put};

/// `x 1`, compressed.
const GZIP: &str = "H4sIAAAAAAACA6tQMOQCACP/CpEEAAAA";
/// `x 1`, in the block format of Snappy.
const SNAPPY: &str = "BAx4IDEK";
/// The gauge `x 1`, as client_golang sends it.
const PROTOBUF: &str = "EgoBeBgBIgsSCQkAAAAAAADwPw==";

/// The content type of protobuf, as client_golang sends it.
pub(super) const DELIMITED: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

pub(super) fn gzip() -> Vec<u8> {
    base64(GZIP)
}

pub(super) fn protobuf() -> Vec<u8> {
    base64(PROTOBUF)
}

pub(super) fn list() -> Vec<Raw> {
    let push = |line: &str, body: &[u8]| put("/metrics/job/a", line, body);
    let types = [
        "text/plain",
        "text/plain; version=0.0.4",
        "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8",
        "text/plain; version=9",
        "TEXT/PLAIN",
        "text/plain;;",
        "text/plain; a",
        "text/plain; version=\"0.0.4",
        "application/openmetrics-text; version=1.0.0",
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "application/octet-stream",
        "nonsense",
        "a/b/c",
        "",
        "*/*",
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web",
        "application/connect+proto",
        "application/vnd.google.protobuf",
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text",
        "text/plain\r\ncontent-type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
    ];
    let types = types.map(|kind| {
        let line = format!("content-type: {kind}");
        Raw::new(format!("`{}`", line.replace("\r\n", "`, `")), push(&line, b"x 1\n"))
    });
    let protobuf = [
        DELIMITED.to_owned(),
        "application/vnd.google.protobuf; encoding=delimited; proto=io.prometheus.client.MetricFamily"
            .to_owned(),
        "application/vnd.google.protobuf;encoding=\"delimited\";proto=\"io.prometheus.client.MetricFamily\""
            .to_owned(),
        "Application/Vnd.Google.Protobuf; PROTO=io.prometheus.client.MetricFamily; Encoding=delimited"
            .to_owned(),
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=DELIMITED"
            .to_owned(),
        format!("{DELIMITED}; escaping=underscores"),
    ];
    let protobuf = protobuf.map(|kind| {
        let line = format!("content-type: {kind}");
        Raw::new(format!("protobuf as `{kind}`"), push(&line, &base64(PROTOBUF)))
    });
    let encodings = [
        ("gzip", base64(GZIP)),
        ("GZIP", base64(GZIP)),
        ("x-gzip", base64(GZIP)),
        ("gzip, gzip", base64(GZIP)),
        ("identity, gzip", base64(GZIP)),
        ("gzip", b"x 1\n".to_vec()),
        ("gzip", Vec::new()),
        ("gzip\r\ncontent-encoding: snappy", base64(GZIP)),
        ("snappy", base64(SNAPPY)),
        ("snappy", b"\xff\xff\xff\xff\xff".to_vec()),
        ("br", b"x 1\n".to_vec()),
        ("deflate", b"x 1\n".to_vec()),
        ("zstd", b"x 1\n".to_vec()),
        ("identity", b"x 1\n".to_vec()),
        ("", b"x 1\n".to_vec()),
    ];
    let encodings = encodings.into_iter().map(|(coding, body)| {
        let line = format!("content-encoding: {coding}");
        let name = format!("`{}`, {} bytes", line.replace("\r\n", "`, `"), body.len());
        Raw::new(name, push(&line, &body))
    });
    let texts: [(&str, &[u8]); 20] = [
        ("empty body", b""),
        ("no final newline", b"x 1"),
        ("CRLF in the body", b"x 1\r\ny 2\r\n"),
        ("invalid metric", b"x y z\n"),
        ("only a newline", b"\n"),
        ("only a comment", b"# a\n"),
        ("only a TYPE", b"# TYPE x gauge\n"),
        ("sample with a timestamp", b"x 1 1700000000000\n"),
        ("NaN and infinities", b"x NaN\ny +Inf\nz -Inf\n"),
        ("NUL in the body", b"x\0 1\n"),
        ("body that is not UTF-8", b"x{a=\"\xff\"} 1\n"),
        ("byte order mark", b"\xef\xbb\xbfx 1\n"),
        ("two equal samples", b"x 1\nx 1\n"),
        ("name in quotes", b"{\"x.y\"} 1\n"),
        ("label `job` in the body", b"x{job=\"b\"} 1\n"),
        ("histogram without buckets", b"# TYPE x histogram\nx_sum 1\n"),
        ("own metric of the gateway", b"push_time_seconds 1\n"),
        ("OpenMetrics end", b"x 1\n# EOF\n"),
        ("HTML", b"<html></html>\n"),
        ("JSON", b"{\"x\": 1}\n"),
    ];
    let texts = texts.map(|(name, body)| Raw::new(name, push("", body)));
    let large = Raw::new(
        "body of 2 MiB",
        push("", &[b"x 1\n#".to_vec(), vec![b'.'; 2 << 20], b"\n".to_vec()].concat()),
    );
    types.into_iter().chain(protobuf).chain(encodings).chain(texts).chain([large]).collect()
}
