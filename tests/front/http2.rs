//! HTTP/2 without TLS: each status is that of HTTP/1.1 or, where that differs, that of a Pushgateway.

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
