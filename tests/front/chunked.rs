//! Chunks that Envoy does not read must not become the next request of the connection.

use pushring_harness::{EnvoyFixture, Mode};

use crate::wire;

const HIDDEN: &str =
    "PUT /metrics/job/hidden HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\nx 1\n";

/// The hidden request asks to close the connection, so that `wire` reads to its end.
#[test]
fn a_connection_ends_with_a_chunked_request() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 1);
        for (second, routed) in
            [("", 200), ("transfer-encoding:\r\n", 501), ("x-a: b\r\nTransfer-Encoding: \t\r\n", 501)]
        {
            let head = format!(
                "PUT /metrics/job/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n{second}\r\n"
            );
            let request = format!("{head}4\r\nx 1\n\r\n0\r\n\r\n{HIDDEN}");
            let answers = wire::exchange(fleet.envoy.push, request.as_bytes());
            let expected = if mode == Mode::Redirect { 307 } else { routed };
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, [expected], "{mode}: {second:?}");
            assert_eq!(answers[0].header("connection"), Some("close"), "{mode}: {second:?}");
        }
        let stored: Vec<_> = fleet.holders().into_keys().map(|group| group["job"].clone()).collect();
        let expected: &[&str] = if mode == Mode::Redirect { &[] } else { &["a"] };
        assert_eq!(stored, expected, "{mode}");
    }
}
