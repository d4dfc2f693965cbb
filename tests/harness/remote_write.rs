//! Writes remote writes 1.0, without any of the code under test, and has the headers of both versions.

use anyhow::Result;

use crate::http::{Client, Response};
use crate::proto;

/// The headers of a remote write 1.0, as Prometheus sends them.
pub const HEADERS_V1: [(&str, &str); 3] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];
/// The headers of a remote write 2.0, as Prometheus sends them.
pub const HEADERS_V2: [(&str, &str); 3] = [
    ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "2.0.0"),
];

/// A series with one sample.
#[derive(Clone, Debug)]
pub struct Series {
    /// Names and values, sorted by name.
    pub labels: Vec<(String, String)>,
    /// The value of the sample.
    pub value: f64,
    /// Milliseconds since 1970.
    pub at: i64,
}

/// Returns a body, compressed by snappy.
///
/// # Errors
/// If it is too large for snappy.
pub fn body(series: &[Series]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    for Series { labels, value, at } in series {
        let mut fields = Vec::new();
        for (name, text) in labels {
            fields.extend(proto::label(name, text));
        }
        fields.extend(proto::bytes(2, [proto::double(1, *value), proto::int(2, *at)].concat()));
        plain.extend(proto::bytes(1, fields));
    }
    Ok(snap::raw::Encoder::new().compress_vec(&plain)?)
}

/// Sends a body as Prometheus does.
///
/// # Errors
/// If there is no answer.
pub fn send(client: &Client, path: &str, body: Vec<u8>) -> Result<Response> {
    client.send("POST", path, &HEADERS_V1, body)
}
