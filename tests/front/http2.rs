//! HTTP/2 without TLS: each status is that of HTTP/1.1 or, where that differs, that of a Pushgateway.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode};

use crate::requests;
use crate::wire;

#[test]
fn http2_has_the_statuses_of_http1_or_of_a_pushgateway() {
    // The listener is the same in the other modes.
    let fleet = EnvoyFixture::start(Mode::Cluster, 1);
    let client = Client::http2(fleet.envoy.push).unwrap();
    let mut compared = 0;
    for raw in requests::all().iter().filter(|raw| raw.redirect && raw.prefix.is_empty()) {
        let Some((method, target)) = plain(&raw.bytes) else { continue };
        // A target that the client rejects as well, such as one with a space.
        let Ok(answer) = client.send(method, target, &[], "x 1\n") else { continue };
        let servers = [fleet.envoy.push, fleet.gateways[0].address];
        let expected = servers.map(|server| wire::exchange(server, &raw.bytes)[0].status);
        assert!(expected.contains(&answer.status), "{}: {}, {expected:?}", raw.name, answer.status);
        compared += 1;
    }
    assert!(compared > 150, "{compared}");
}

/// Returns method and target of a request for a path, without further headers. The client would cut a fragment.
fn plain(request: &[u8]) -> Option<(&str, &str)> {
    let head = std::str::from_utf8(request).ok()?.split("\r\n\r\n").next()?;
    let mut lines = head.lines();
    let (method, rest) = lines.next()?.split_once(' ')?;
    let target = rest.strip_suffix(" HTTP/1.1")?;
    let plain = lines.all(|line| line.starts_with("host: ") || line.starts_with("content-length: "));
    (plain && target.starts_with('/') && !target.contains('#')).then_some((method, target))
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a push, each as a literal of HPACK without indexing (RFC 7541, section 6.2.2).
fn headers(extra: &[(&str, &str)]) -> Vec<u8> {
    let push = [(":method", "PUT"), (":scheme", "http"), (":authority", "a"), (":path", "/metrics/job/a")];
    let literal = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    push.iter()
        .chain(extra)
        .flat_map(|(name, value)| [&[0][..], &literal(name), &literal(value)].concat())
        .collect()
}

/// Reads frames until the stream ends; returns whether its answer has begun.
fn answered(connection: &mut TcpStream, stream: u32) -> bool {
    const HEADERS: u8 = 1;
    const GOAWAY: u8 = 7;
    loop {
        let mut head = [0; 9];
        if connection.read_exact(&mut head).is_err() {
            return false;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if connection.read_exact(&mut payload).is_err() || head[3] == GOAWAY {
            return false;
        }
        if head[3] == HEADERS && head[5..] == stream.to_be_bytes() {
            return true;
        }
    }
}

/// Clients behind one proxy share its connection.
#[test]
fn a_malformed_request_does_not_end_the_other_pushes_of_its_connection() {
    let fleet = EnvoyFixture::start(Mode::Cluster, 1);
    for bad in
        [("te", "gzip"), ("connection", "close"), ("content-length", "zz"), ("UPPER", "1"), ("x", "a\0b")]
    {
        let mut connection = TcpStream::connect(fleet.envoy.push).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let (end_headers, end_stream) = (4, 1);
        let bytes = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, 0, &[]),
            frame(1, end_headers, 1, &headers(&[])),
            frame(1, end_headers | end_stream, 3, &headers(&[bad])),
            frame(0, end_stream, 1, b"x 1\n"),
        ];
        connection.write_all(&bytes.concat()).unwrap();
        assert!(answered(&mut connection, 1), "{bad:?}");
    }
}
