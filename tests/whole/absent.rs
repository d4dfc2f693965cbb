//! Without `pushring serve`, its paths have the answer of any other path that is no push, and no other server gets a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use pushring_harness::http::{Client, Response};
use pushring_harness::{EnvoyFixture, Mode, poll_until, server};

/// Requests that `pushring serve` answers.
const REQUESTS: [(&str, &str); 14] = [
    ("GET", "/"),
    ("GET", "/?q=a"),
    ("HEAD", "/"),
    ("GET", "/metrics"),
    ("HEAD", "/metrics"),
    ("GET", "/metrics?a=b"),
    ("GET", "/pg/metrics"),
    ("GET", "/pg/"),
    ("GET", "/status"),
    ("GET", "/static/page.css"),
    ("GET", "/api/v1/metrics"),
    ("GET", "/pg/api/v1/status"),
    ("OPTIONS", "/api/v1/status"),
    ("PUT", "/api/v1/admin/wipe"),
];

#[test]
fn without_serve_its_paths_have_the_answer_of_any_other_path() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 1);
        for client in clients(&fleet) {
            same_as_any_other_path(&client, mode);
        }
        assert_eq!(fleet.requests(), [0], "{mode}");
    }
}

/// Port 9093 is also that of Alertmanager.
#[test]
fn another_server_at_its_address_gets_no_request() {
    for mode in Mode::ROUTED {
        let (other, requests) = echo("alertmanager");
        let fleet = behind(mode, other);
        // Envoy has checked it at least twice.
        fleet
            .envoy
            .wait_stat("cluster.pushring-serve.health_check.attempt", |attempts| attempts >= 2)
            .unwrap();
        same_as_any_other_path(&fleet.envoy.client().unwrap(), mode);
        assert_eq!(requests.load(Ordering::Relaxed), 0, "{mode}");
    }
}

#[test]
fn only_reads_and_the_api_reach_serve() {
    for mode in Mode::ROUTED {
        let (serve, requests) = echo("pushring-serve");
        let fleet = behind(mode, serve);
        let client = fleet.envoy.client().unwrap();
        let found = || (client.get("/metrics").unwrap().status == 200).then_some(());
        poll_until("Envoy to find serve", found).unwrap();
        requests.store(0, Ordering::Relaxed);
        for (method, path) in REQUESTS {
            let answer = client.send(method, path, &[("x-pushring-gateway", "a")], "").unwrap();
            let expected = if method == "HEAD" { String::new() } else { format!("{method} {path}") };
            assert_eq!((answer.status, answer.text()), (200, expected), "{mode} {method} {path}");
        }
        assert_eq!(requests.load(Ordering::Relaxed), REQUESTS.len(), "{mode}");
        // The filter's pages, pushes, and what is neither a push nor a read.
        for (method, path, status) in [
            ("GET", "/-/healthy", 200),
            ("GET", "/-/ready", 200),
            ("GET", "/-/pushring", 200),
            ("GET", "/-/pushring/owner?path=/metrics/job/a", 200),
            ("GET", "/metrics/job/a", 405),
            ("OPTIONS", "/", 200),
            ("PUT", "/metrics/job/a", 200),
            ("DELETE", "/metrics/job/api/v1/metrics", 202),
            ("GET", "/-/quit", 404),
            ("PUT", "/-/quit", 404),
            ("PUT", "/metrics", 404),
            ("DELETE", "/", 404),
        ] {
            let answer = client.send(method, path, &[], "").unwrap();
            assert_eq!(answer.status, status, "{mode} {method} {path}: {}", answer.text());
        }
        assert_eq!(requests.load(Ordering::Relaxed), REQUESTS.len(), "{mode}");
    }
}

/// Requires the same status, headers and body as at a path that has no route to serve.
fn same_as_any_other_path(client: &Client, mode: Mode) {
    for (method, path) in REQUESTS {
        for headers in [&[][..], &[("content-type", "application/grpc")]] {
            let answer = client.send(method, path, headers, "").unwrap();
            let other = client.send(method, "/no-such-page", headers, "").unwrap();
            assert_eq!(other.status, 404);
            assert_eq!(described(&answer), described(&other), "{mode} {method} {path} {headers:?}");
        }
    }
}

fn described(answer: &Response) -> (u16, String, String) {
    let mut headers = answer.headers.clone();
    headers.remove("date");
    (answer.status, format!("{headers:?}"), answer.text())
}

fn clients(fleet: &EnvoyFixture) -> [Client; 2] {
    [fleet.envoy.client().unwrap(), Client::http2(fleet.envoy.push).unwrap()]
}

fn behind(mode: Mode, serve: SocketAddr) -> EnvoyFixture {
    let cluster = "cluster_name: pushring-serve\n      endpoints:\n      - lb_endpoints:\n        - endpoint: { address: \
                   { socket_address: { address: 127.0.0.1, port_value: ";
    EnvoyFixture::edited(mode, 1, &[(&format!("{cluster}0 "), &format!("{cluster}{} ", serve.port()))])
}

/// Starts a server with a health page that names it, which echoes and counts all other requests.
fn echo(name: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let server = server::serve(move |request| {
        if request.path == "/-/healthy" {
            let mut headers = HeaderMap::new();
            headers.insert("x-envoy-upstream-healthchecked-cluster", HeaderValue::from_static(name));
            return Ok(Response { status: 200, headers, body: "OK".into() });
        }
        count.fetch_add(1, Ordering::Relaxed);
        assert!(!request.headers.contains_key("x-pushring-gateway"), "a header of the client came through");
        Ok(Response::ok(format!("{} {}", request.method, request.path)))
    });
    (server.unwrap(), requests)
}
