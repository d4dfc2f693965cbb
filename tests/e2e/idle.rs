//! Connections without a request do not exclude other clients: Envoy closes them, and the operator listener does not count them.

use std::io::{Read, Write};
use std::net::TcpStream;

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode, poll_until};

/// The limit of connections in this test.
const LIMIT: usize = 8;

/// The start of an HTTP/2 connection: preface and empty settings.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Opens a connection that never sends a complete request, or no further one.
fn idle(fleet: &EnvoyFixture, kind: &str) -> TcpStream {
    let mut stream = TcpStream::connect(fleet.envoy.push).unwrap();
    let sent: &[u8] = match kind {
        "nothing sent" => b"",
        "slow headers" => b"PUT /metrics/job/a HTTP/1.1\r\nhost: a\r\n",
        "slow request line" => b"PU",
        "kept alive" => b"GET /-/ready HTTP/1.1\r\nhost: a\r\n\r\n",
        "HTTP/2 without streams" => HTTP2,
        // HEADERS of 5 bytes without END_HEADERS.
        "HTTP/2 with slow headers" => &[HTTP2, b"\0\0\x05\x01\0\0\0\0\x01"].concat(),
        other => panic!("{other}"),
    };
    // Envoy may have closed it: the limit is reached.
    let _ = stream.write_all(sent);
    if kind == "kept alive" {
        let _ = stream.read(&mut [0; 4096]);
    }
    stream
}

#[test]
fn idle_connections_exclude_no_client() {
    let connections = format!("max_active_downstream_connections: {LIMIT}");
    let edits = [
        ("max_active_downstream_connections: 10000", connections.as_str()),
        ("idle_timeout: 120s }", "idle_timeout: 1s }"),
        ("request_headers_timeout: 10s", "request_headers_timeout: 1s"),
    ];
    let kinds = [
        "nothing sent",
        "slow headers",
        "slow request line",
        "kept alive",
        "HTTP/2 without streams",
        "HTTP/2 with slow headers",
    ];
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::edited(mode, 1, &edits);
        for kind in kinds {
            let _held: Vec<TcpStream> = (0..LIMIT).map(|_| idle(&fleet, kind)).collect();
            let operator = Client::new(fleet.envoy.operator.unwrap()).unwrap();
            assert_eq!(operator.get("/").unwrap().status, 400, "{mode}, {kind}");
            poll_until(&format!("{mode}: a push while {LIMIT} clients hold connections: {kind}"), || {
                let client = fleet.envoy.client().unwrap();
                client.put("/metrics/job/a", "x 1\n").is_ok_and(|answer| answer.status == 200).then_some(())
            })
            .unwrap();
        }
    }
}
