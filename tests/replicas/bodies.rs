//! The replica gets each kind of body, up to the limit.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use pushring_harness::proto::{CONTENT_TYPE, GAUGE, family, gauge, metric};
use pushring_harness::{Mode, http};

use crate::{fleet, wait_holders};

/// `max_request_bytes` of the shipped files.
const LIMIT: usize = 16 << 20;

/// The headers that describe a body.
type Headers = &'static [(&'static str, &'static str)];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_replica_gets_each_kind_of_body() {
    let protobuf = family("of_protobuf", GAUGE, &[metric(&[gauge(1.0)])]);
    let end = "\nx 1\n";
    let largest = format!("{}{end}", "#".repeat(LIMIT - end.len()));
    let bodies: [(&str, Vec<u8>, Headers); 5] = [
        ("text", "x 1\n".into(), &[]),
        ("gzip", gzip(b"x 1\n"), &[("content-encoding", "gzip")]),
        ("protobuf", protobuf, &[("content-type", CONTENT_TYPE)]),
        ("large", largest.into(), &[]),
        // An empty push removes all families, and the group stays.
        ("empty", Vec::new(), &[]),
    ];
    for mode in Mode::ROUTED {
        let fleet = fleet(mode, 3, "all");
        let client = fleet.envoy.client().unwrap();
        for (job, body, headers) in &bodies {
            let path = format!("/metrics/job/{job}");
            let answer = client.send("PUT", &path, headers, body.clone()).unwrap();
            assert_eq!(answer.status, 200, "{mode} {job}: {}", answer.text());
            wait_holders(&fleet, job, &fleet.clockwise(&path)[..2]);
        }
        let chunked = "POST /metrics/job/chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\
                       connection: close\r\n\r\n4\r\nx 1\n\r\n0\r\n\r\n";
        let answer = http::raw(fleet.envoy.push, chunked.as_bytes()).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{mode}: {}", String::from_utf8_lossy(&answer));
        wait_holders(&fleet, "chunked", &fleet.clockwise("/metrics/job/chunked")[..2]);
    }
}
