//! The side towards clients: requests that a Pushgateway accepts pass, and no client gains influence beyond its own push.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::TcpStream;

use pushring_harness::http::{self, Client};
use pushring_harness::{Envoy, EnvoyFixture, Layout, Mode, Ports, Pushgateway, envoy_files};
use pushring_router::Router;
use tempfile::TempDir;

const PUSH: &str = "/metrics/job/a";

/// An Envoy with one gateway and one edit of its bootstrap.
fn edited(mode: Mode, from: &str, to: &str) -> (Envoy, Pushgateway, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
    let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
    let text = fs::read_to_string(layout.bootstrap()).unwrap();
    assert!(text.contains(from), "{mode}: no {from}");
    fs::write(layout.bootstrap(), text.replace(from, to)).unwrap();
    layout.write(&envoy_files::config(mode, &[gateway.address.into()]).unwrap()).unwrap();
    (Envoy::start(&layout, 1).unwrap(), gateway, dir)
}

/// Envoy trusts these headers of clients with private addresses, and 127.0.0.1 is one.
#[test]
fn a_client_chooses_neither_retries_nor_timeouts() {
    let headers = [
        ("x-envoy-retry-on", "retriable-status-codes,5xx"),
        ("x-envoy-retriable-status-codes", "200,400,404"),
        ("x-envoy-max-retries", "9"),
        ("x-envoy-upstream-rq-timeout-ms", "1"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "1"),
        ("x-envoy-hedge-on-per-try-timeout", "true"),
    ];
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 3);
        for client in [fleet.envoy.client().unwrap(), Client::http2(fleet.envoy.push).unwrap()] {
            // A push that takes the gateway longer than the timeouts above.
            let body: String = (0..20_000).map(|line| format!("x{{line=\"{line}\"}} 1\n")).collect();
            assert_eq!(client.send("PUT", PUSH, &headers, body).unwrap().status, 200, "{mode}");
        }
        assert_eq!(fleet.requests().iter().sum::<u64>(), 2, "{mode}");
        let operator = Client::new(fleet.envoy.operator.unwrap()).unwrap();
        let destination = fleet.destination(0);
        let named = [&headers[..], &[("x-pushring-gateway", destination.as_str())]].concat();
        assert_eq!(operator.send("GET", "/no-such-page", &named, "").unwrap().status, 404, "{mode}");
        assert_eq!(fleet.requests().iter().sum::<u64>(), 3, "{mode}: operator");
    }
}

#[test]
fn old_clients_are_served() {
    let requests = [
        // nginx and HAProxy by default, curl -0, small C programs.
        format!("PUT {PUSH} HTTP/1.0\r\ncontent-length: 4\r\n\r\nx 1\n"),
        format!("PUT {PUSH} HTTP/1.0\r\nhost: a\r\ncontent-length: 4\r\nconnection: close\r\n\r\nx 1\n"),
        // Apache HttpClient 5.4 and later.
        format!(
            "PUT {PUSH} HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: TLS/1.2\r\n\
             content-length: 4\r\n\r\nx 1\n"
        ),
        "GET /-/ready HTTP/1.0\r\n\r\n".to_owned(),
    ];
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 1);
        for request in &requests {
            let answer = http::raw(fleet.envoy.push, request.as_bytes()).unwrap();
            let answer = String::from_utf8_lossy(&answer);
            let expected = if mode == Mode::Redirect && request.starts_with("PUT") { 307 } else { 200 };
            let status = answer.split(' ').nth(1);
            assert_eq!(status, Some(expected.to_string().as_str()), "{mode}: {request}{answer}");
        }
    }
}

#[test]
fn idle_connections_are_closed() {
    for mode in Mode::ALL {
        let (envoy, _gateway, _dir) = edited(mode, "idle_timeout: 120s }", "idle_timeout: 0.1s }");
        for listener in [Some(envoy.push), envoy.operator].into_iter().flatten() {
            // `raw` returns when Envoy closes the connection, which the request does not ask for.
            http::raw(listener, b"GET /-/ready HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        }
    }
}

#[test]
fn operators_get_in_when_clients_hold_all_connections() {
    for mode in Mode::ROUTED {
        let limit = "max_active_downstream_connections: ";
        let (envoy, _gateway, _dir) = edited(mode, &format!("{limit}10000"), &format!("{limit}1"));
        let _held = TcpStream::connect(envoy.push).unwrap();
        envoy.wait_stat("http.push.downstream_cx_active", |active| active == 1).unwrap();
        let mut refused = TcpStream::connect(envoy.push).unwrap();
        assert_eq!(refused.read(&mut [0]).unwrap_or(0), 0, "{mode}: over the limit");
        assert_eq!(Client::new(envoy.operator.unwrap()).unwrap().get("/").unwrap().status, 400, "{mode}");
    }
}

/// An Envoy that is listed as a member by mistake. `pushring register` refuses it: tests/membership/no_gateway.rs.
#[test]
fn a_push_to_an_envoy_on_its_own_ring_fails_after_one_round() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 1);
        let members = [fleet.gateways[0].address, fleet.envoy.push].map(envoy_files::Member::from);
        let config = envoy_files::config(mode, &members).unwrap();
        fleet.layout.write(&config).unwrap();
        let names = members.each_ref().map(|member| member.name.as_str());
        fleet.envoy.wait_members(&names).unwrap();
        fleet.envoy.wait_upstreams(&names).unwrap();
        let router = Router::parse(config.to_string().as_bytes()).unwrap();
        let client = fleet.envoy.client().unwrap();
        let mut statuses = BTreeMap::<u16, u64>::new();
        for number in 0..20 {
            let path = format!("/metrics/job/j{number}");
            let owner = router.owner_of(path.as_bytes()).unwrap().owner.unwrap();
            let expected = if owner.address == fleet.envoy.push.to_string() { 508 } else { 200 };
            // A mark of another proxy is no loop.
            let answer = client.send("PUT", &path, &[("cdn-loop", "another.example")], "x 1\n").unwrap();
            assert_eq!(answer.status, expected, "{mode} {path}: {}", answer.text());
            *statuses.entry(expected).or_default() += 1;
        }
        assert_eq!(statuses.len(), 2, "{mode}: {statuses:?}");
        let looped = statuses[&508];
        fleet.envoy.wait_stat("http.push.downstream_rq_5xx", |count| count == 2 * looped).unwrap();
    }
}
