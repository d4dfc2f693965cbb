//! Single hostile requests, written byte by byte.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;

use crate::proto::CONTENT_TYPE;

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

const PROTOBUF_ODD: &str =
    "aPPlication/VND.google.ProtoBuf;encoding=\"delimited\" ;proto=\"io.prometheus.client.MetricFamily\"";

/// A length prefix of 2^40 in six bytes, with odd headers: a gateway that believes it ends.
pub(super) fn killer(random: &mut Rng) -> Vec<u8> {
    let kind = if random.bool() { CONTENT_TYPE } else { PROTOBUF_ODD };
    let body = [0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
    let (length, body) = match random.u32(..5) {
        0 => ("transfer-encoding: chunked", [b"6\r\n", &body[..], b"\r\n0\r\n\r\n"].concat()),
        1 => ("content-length: 6\r\ncontent-type: text/plain", body.to_vec()),
        2 => ("content-length: 6\r\nx-envoy-retry-on: reset,5xx\r\nx-envoy-max-retries: 9", body.to_vec()),
        _ => ("content-length: 6", body.to_vec()),
    };
    request("PUT", &job("kill", random), &format!("content-type: {kind}\r\n{length}"), &body)
}

/// 200 kB of gzip that are 192 MiB. `bomb` is the compressed body.
pub(super) fn bomb(bomb: &[u8], random: &mut Rng) -> Vec<u8> {
    let encoding = ["gzip", "GZip", "gzip\r\ncontent-type: text/plain"][random.usize(..3)];
    let headers = format!("content-encoding: {encoding}\r\ncontent-length: {}", bomb.len());
    request("POST", &job("bomb", random), &headers, bomb)
}

/// A valid push with a few bytes changed, inserted, removed or repeated.
pub(super) fn malformed(random: &mut Rng) -> Vec<u8> {
    let starts: [&[u8]; 8] = [
        b"PUT /metrics/job/malformed HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n",
        b"POST /metrics/job/malformed HTTP/1.0\r\n\r\nx 1\n",
        b"PUT http://a/metrics/job/malformed HTTP/1.1\r\nhost: b\r\ncontent-length: 4\r\n\r\nx 1\n",
        b"PUT /metrics/job/malformed HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nx 1\n\r\n0\r\n\r\n",
        b"PUT /metrics/job/malformed HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nx 1\n",
        b"PUT /metrics/job/malformed HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x05\x01\x05\0\0\0\x01\x83\x84\x86\x41\x01",
        b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
    ];
    let mut bytes = starts[random.usize(..starts.len())].to_vec();
    for _ in 0..random.usize(..8) {
        let at = random.usize(..bytes.len());
        match random.u32(..4) {
            0 => bytes[at] = random.u8(..),
            1 => bytes.insert(at, random.u8(..)),
            2 if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => bytes.extend_from_within(at..),
        }
        bytes.truncate(4096);
    }
    bytes
}

/// Headers by which a client would choose the gateway, retries or timeouts.
pub(super) fn tricks(random: &mut Rng) -> Vec<u8> {
    let tricks = [
        "x-envoy-retry-on: retriable-status-codes\r\nx-envoy-retriable-status-codes: 200\r\nx-envoy-max-retries: 5",
        "x-envoy-upstream-rq-timeout-ms: 1\r\nx-envoy-hedge-on-per-try-timeout: true",
        "x-pushring-destination: 127.0.0.1:1\r\nX-Pushring-Destination: pushgateway-127.0.0.1:1",
        "x-pushring-destination-mirror: 127.0.0.1:1",
        "x-pushring-gateway: 127.0.0.1:1",
        "x-envoy-original-path: /api/v1/admin/wipe",
        "x-forwarded-for: 10.0.0.1\r\nx-envoy-internal: true\r\nx-envoy-decorator-operation: a",
        "te: trailers\r\nconnection: x-pushring-destination, content-length",
    ];
    let trick = tricks[random.usize(..tricks.len())];
    request("PUT", &job("trick", random), &format!("{trick}\r\ncontent-length: 4"), b"x 1\n")
}

/// Paths that are no push, a push in disguise, or would reach a gateway's own API.
pub(super) fn paths(random: &mut Rng) -> Vec<u8> {
    let paths = [
        "/api/v1/admin/wipe",
        "/metrics/job/a/../../../api/v1/admin/wipe",
        "/metrics/job/a/%2e%2e/%2e%2e/%2e%2e/api/v1/admin/wipe",
        "//api/v1/admin/wipe",
        "/metrics/job/path0//b/c",
        "/metrics/job/path0/./b/c",
        "/metrics/%6Aob/path1",
        "/metrics/job@base64/cGF0aDI",
        "/metrics/job@base64/%%%",
        "/metrics/job/path3/a",
        "/metrics/job/path3/a/b/c%zz",
        "/metrics/job/path4/job/path5",
        "/metrics/job/",
        "/metrics",
        "/-/quit",
        "/-/pushring/owner?path=/metrics/job/%00",
        "/metrics/job/path6?x=/../..",
        "/metrics/job/path7/a@base64/=/b@base64/",
    ];
    let mut path = paths[random.usize(..paths.len())].to_owned();
    if random.u8(..8) == 0 {
        path += &"/a/b".repeat(random.usize(..12_000));
    }
    let method = ["PUT", "POST", "DELETE", "GET", "HEAD", "PATCH", "OPTIONS", "put"][random.usize(..8)];
    request(method, &path, "content-length: 4", b"x 1\n")
}

/// A push that claims to have passed pushring.
pub(super) fn looping(random: &mut Rng) -> Vec<u8> {
    let mark = ["pushring", "a, pushring;b", "PUSHRING", "pushring\r\ncdn-loop: pushring"][random.usize(..4)];
    request("PUT", &job("loop", random), &format!("cdn-loop: {mark}\r\ncontent-length: 4"), b"x 1\n")
}

/// More than 16 MiB, with or without saying so.
pub(super) fn huge(random: &mut Rng) -> Vec<u8> {
    let part = vec![b'#'; 17 << 20];
    match random.u32(..3) {
        0 => request("PUT", "/metrics/job/huge", "content-length: 99999999999", &part[..1 << 20]),
        1 => request("PUT", "/metrics/job/huge", &format!("content-length: {}", part.len()), &part),
        _ => {
            let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), &part, b"\r\n0\r\n\r\n"].concat();
            request("PUT", "/metrics/job/huge", "transfer-encoding: chunked", &chunk)
        }
    }
}

fn job(name: &str, random: &mut Rng) -> String {
    format!("/metrics/job/{name}{}", random.u32(..20))
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// Sends the bytes and reads the answer for a while; returns its start.
pub(super) fn send(envoy: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = connect(envoy)?;
    let sent = stream.write_all(bytes);
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer)?;
    answer.truncate(length);
    sent?;
    Ok(answer)
}

/// Sends the bytes and closes, half or at once, without waiting for the answer.
pub(super) fn send_and_leave(envoy: SocketAddr, bytes: &[u8], random: &mut Rng) -> Result<()> {
    let mut stream = connect(envoy)?;
    stream.write_all(&bytes[..random.usize(..=bytes.len())])?;
    if random.bool() {
        stream.shutdown(Shutdown::Write)?;
        let _ = stream.read(&mut [0; 4096]);
    }
    Ok(())
}

fn connect(envoy: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(envoy)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
