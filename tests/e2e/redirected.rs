//! Real clients behind a load balancer that answers 301 or 302, which turns their push into a GET: all report a failure, as
//! in front of a Pushgateway.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use pushring_harness::http::Response;
use pushring_harness::server::serve;
use pushring_harness::{EnvoyFixture, Mode, tools};

const GROUPS: &str = r#"[{"job": "a", "labels": [["instance", "b"]]}]"#;
const REQUESTS: &str =
    "import requests, sys; requests.post(sys.argv[1] + '/metrics/job/a', data='x 1\\n').raise_for_status()";

/// Starts a load balancer that redirects every request to `to`.
fn balancer(status: u16, to: SocketAddr) -> String {
    let redirect = move |request: &pushring_harness::server::Request| {
        let mut answer = Response::ok("");
        answer.status = status;
        answer.headers.insert("location", format!("http://{to}{}", request.path).parse()?);
        Ok(answer)
    };
    format!("http://{}", serve(redirect).unwrap())
}

fn clients(url: &str) -> Vec<Command> {
    let python = || Command::new(tools::python().unwrap());
    let mut client_python = python();
    client_python.arg(tools::repository().join("tests/clients/python/push.py")).args([url, "from_python"]);
    let mut requests = python();
    requests.args(["-c", REQUESTS, url]);
    let mut client_golang = Command::new(tools::find("push-go").unwrap());
    client_golang.args([url, "from_go"]);
    let mut curl = Command::new("curl");
    curl.args(["-sfL", "--data-binary", "x 1\n", &format!("{url}/metrics/job/a")]);
    vec![client_python, requests, client_golang, curl]
}

/// Runs a client and returns whether it reports success.
fn succeeds(client: &mut Command) -> bool {
    client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = client.spawn().unwrap();
    // requests and curl read no groups and may have ended already.
    let _ = child.stdin.take().unwrap().write_all(GROUPS.as_bytes());
    child.wait().unwrap().success()
}

#[test]
fn a_redirected_push_fails_at_every_client() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 2);
        for client in &mut clients(&format!("http://{}", fleet.envoy.push)) {
            assert!(succeeds(client), "{mode}: {client:?} without a redirect");
        }
        let stored = fleet.requests();
        for status in [301, 302] {
            for client in &mut clients(&balancer(status, fleet.envoy.push)) {
                assert!(!succeeds(client), "{mode}: {client:?} reports success after a {status}");
            }
        }
        assert_eq!(fleet.requests(), stored, "{mode}");
    }
}

/// Without its body the push is still valid: the group loses its metrics, as at a Pushgateway.
#[test]
fn a_client_that_keeps_the_method_empties_the_group() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 1);
        assert_eq!(fleet.envoy.client().unwrap().put("/metrics/job/a", "x 1\n").unwrap().status, 200);
        let gateway = &fleet.gateways[0];
        for to in [fleet.envoy.push, gateway.address] {
            assert_eq!(gateway.client().unwrap().put("/metrics/job/a", "x 1\n").unwrap().status, 200);
            let mut curl = Command::new("curl");
            let url = format!("{}/metrics/job/a", balancer(301, to));
            curl.args(["-sfL", "-X", "PUT", "--data-binary", "x 1\n", &url]);
            assert!(succeeds(&mut curl), "{mode}");
            assert!(!gateway.metrics().unwrap().contains("x{"), "{mode}");
        }
    }
}
