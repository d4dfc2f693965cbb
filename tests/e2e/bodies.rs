//! Bodies arrive byte for byte: text, gzip and protobuf, with a stated length or in chunks.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use pushring_harness::http::{self, Client};
use pushring_harness::proto::{CONTENT_TYPE, GAUGE, bytes, family, gauge, label, metric};
use pushring_harness::{Mode, envoy_files};

use crate::recorder::Recorder;
use pushring_harness::EnvoyFixture;

const TEXT: &str = "# TYPE pushed gauge\n# HELP pushed Some value.\npushed{l=\"v\"} 42\n";
const PATH: &str = "/metrics/job/a";

/// One gauge `pushed` of 42 as a length-delimited `io.prometheus.client.MetricFamily`.
fn protobuf() -> Vec<u8> {
    let value = metric(&[label("l", "v"), gauge(42.0)]);
    family("pushed", GAUGE, &[bytes(2, "Some value."), value])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The headers that describe a body.
type Headers = Vec<(&'static str, &'static str)>;

fn bodies() -> Vec<(Vec<u8>, Headers)> {
    let kind = ("content-type", CONTENT_TYPE);
    let zipped = ("content-encoding", "gzip");
    vec![
        (TEXT.into(), vec![]),
        (gzip(TEXT.as_bytes()), vec![zipped]),
        (protobuf(), vec![kind]),
        (gzip(&protobuf()), vec![kind, zipped]),
    ]
}

#[test]
fn a_gateway_understands_each_kind_of_body() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 2);
        let owner = &fleet.gateways[fleet.owner(PATH)];
        for client in [fleet.envoy.client().unwrap(), Client::http2(fleet.envoy.push).unwrap()] {
            for (body, headers) in bodies() {
                client.delete(PATH).unwrap();
                let answer = client.send("PUT", PATH, &headers, body).unwrap();
                assert_eq!(answer.status, 200, "{mode} {headers:?}: {}", answer.text());
                let metrics = owner.metrics().unwrap();
                assert!(
                    metrics.contains("pushed{instance=\"\",job=\"a\",l=\"v\"} 42"),
                    "{headers:?}: {metrics}"
                );
                assert!(metrics.contains("# HELP pushed Some value."), "{headers:?}");
            }
        }
    }
}

#[test]
fn every_byte_arrives() {
    let mut bodies = bodies();
    bodies.push(((0..=255).cycle().take(1_000_000).collect(), vec![("content-type", "text/plain")]));
    bodies.push((Vec::new(), vec![]));
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 0);
        let recorder = Recorder::start();
        fleet.layout.write(&envoy_files::config(mode, &[recorder.address.into()]).unwrap()).unwrap();
        fleet.envoy.wait_members(&[&recorder.address.to_string()]).unwrap();
        fleet.envoy.wait_upstreams(&[&recorder.address.to_string()]).unwrap();
        for (body, headers) in &bodies {
            for client in [fleet.envoy.client().unwrap(), Client::http2(fleet.envoy.push).unwrap()] {
                assert_eq!(client.send("POST", PATH, headers, body.clone()).unwrap().status, 200);
                let request = recorder.next();
                assert!(request.body == *body, "{mode} {headers:?}: {} bytes", request.body.len());
                for (name, value) in headers {
                    assert_eq!(request.headers[*name], value, "{:?}", request.headers);
                }
            }
            let mut raw = format!("PUT {PATH} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n").into_bytes();
            raw.extend(b"transfer-encoding: chunked\r\n\r\n");
            for chunk in body.chunks(70_001) {
                raw.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
                raw.extend(chunk);
                raw.extend(b"\r\n");
            }
            raw.extend(b"0\r\n\r\n");
            let answer = http::raw(fleet.envoy.push, &raw).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
            assert!(recorder.next().body == *body, "{mode}: in chunks");
        }
    }
}
