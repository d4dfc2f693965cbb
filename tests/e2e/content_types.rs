//! No content type changes an answer, although Envoy answers gRPC with 200 and has status and text in headers there.

use std::net::SocketAddr;

use pushring_harness::http::{self, Client, Response};
use pushring_harness::{EnvoyFixture, Mode};
use serde_json::json;

const PUSH: &str = "/metrics/job/a";

/// Envoy takes some of them for gRPC.
const TYPES: [&str; 6] = [
    "text/plain",
    "application/grpc",
    "application/grpc+proto",
    "application/grpc; charset=utf-8",
    "application/grpc-web",
    "application/grpc-web-text",
];

/// Everything in an answer that a client acts on.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    status: u16,
    headers: Vec<Option<String>>,
    text: String,
}

impl Answer {
    fn new(answer: &Response) -> Self {
        let names = [
            "allow",
            "retry-after",
            "location",
            "x-pushring-reason",
            "grpc-status",
            "grpc-message",
            "x-pushring-status",
        ];
        let headers = names.iter().map(|name| answer.header(name).map(str::to_owned));
        let kind = answer.header("content-type").and_then(|kind| kind.split(';').next()).map(str::to_owned);
        Self { status: answer.status, headers: headers.chain([kind]).collect(), text: answer.text() }
    }
}

/// Sends a request with each content type over both versions of HTTP and checks that all answers are the same.
#[track_caller]
fn assert_same(server: SocketAddr, request: (&str, &str), headers: &[(&str, &str)], body: &str, status: u16) {
    let mut first = None;
    for client in [Client::new(server).unwrap(), Client::http2(server).unwrap()] {
        for kind in TYPES {
            let headers = [headers, &[("content-type", kind)]].concat();
            let answer = client.send(request.0, request.1, &headers, body.to_owned()).unwrap();
            let answer = Answer::new(&answer);
            assert_eq!(answer.status, status, "{request:?} {kind}: {answer:?}");
            assert_eq!(first.get_or_insert_with(|| answer.clone()), &answer, "{request:?} {kind}");
        }
    }
}

#[test]
fn answers_without_a_gateway_have_the_same_status_and_text() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 1);
        let push = fleet.envoy.push;
        let redirects = mode == Mode::Redirect;
        assert_same(push, ("GET", PUSH), &[], "", if redirects { 200 } else { 405 });
        assert_same(push, ("GET", PUSH), &[("accept", "application/json")], "", 200);
        assert_same(push, ("GET", "/-/pushring/owner?path=/metrics/job/a"), &[], "", 200);
        assert_same(push, ("GET", "/-/pushring"), &[], "", 200);
        assert_same(push, ("GET", "/-/ready"), &[], "", 200);
        assert_same(push, ("GET", "/-/ready"), &[("cdn-loop", "pushring")], "", 508);
        assert_same(push, ("OPTIONS", "/"), &[], "", 200);
        assert_same(push, ("PUT", "/metrics//job/a"), &[], "x 1\n", 307);
        assert_same(push, ("PUT", "/metrics/job/a%ff"), &[], "x 1\n", 400);
        assert_same(push, ("PUT", "/metrics/job/a/instance/"), &[], "x 1\n", 400);
        assert_same(push, ("PUT", "/metrics"), &[], "x 1\n", 404);
        assert_same(push, ("PUT", PUSH), &[], "x 1\n", if redirects { 307 } else { 200 });
        if !redirects {
            assert_same(push, ("PUT", PUSH), &[("cdn-loop", "pushring")], "x 1\n", 508);
            assert_same(push, ("PUT", "/metrics/job/a/b"), &[], "x 1\n", 400);
        }
    }
}

/// Envoy keeps at most 32 KiB of an answer that it changes.
#[test]
fn a_long_text_is_cut_and_its_status_stays() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 1);
        let path = format!("{PUSH}/{}/%ff", "n".repeat(50_000));
        for client in [fleet.envoy.client().unwrap(), Client::http2(fleet.envoy.push).unwrap()] {
            let [text, grpc] = ["text/plain", "application/grpc"].map(|kind| {
                let answer = client.send("PUT", &path, &[("content-type", kind)], "x 1\n").unwrap();
                assert_eq!(answer.status, 400, "{mode} {kind}");
                answer.text()
            });
            assert_eq!(grpc, text[..32 << 10], "{mode}");
        }
    }
}

#[test]
fn gateways_that_fail_have_the_same_status_and_text() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::edited(mode, 1, &[(" timeout: 60s", " timeout: 0.1s")]);
        let (push, operator) = (fleet.envoy.push, fleet.envoy.operator.unwrap());
        let named = fleet.destination(0);
        let named = [("x-pushring-gateway", named.as_str())];
        fleet.gateways[0].process.halt().unwrap();
        assert_same(push, ("PUT", PUSH), &[], "x 1\n", 504);
        assert_same(operator, ("PUT", PUSH), &named, "x 1\n", 504);

        let mut fleet = EnvoyFixture::start(mode, 1);
        let (push, operator) = (fleet.envoy.push, fleet.envoy.operator.unwrap());
        let named = fleet.destination(0);
        let named = [("x-pushring-gateway", named.as_str())];
        let unknown = [("x-pushring-gateway", "127.0.0.1:1")];
        fleet.gateways[0].process.kill();
        assert_same(push, ("PUT", PUSH), &[], "x 1\n", 503);
        assert_same(operator, ("PUT", PUSH), &named, "x 1\n", 503);
        assert_same(operator, ("PUT", PUSH), &unknown, "x 1\n", 503);
        assert_same(operator, ("PUT", PUSH), &[], "x 1\n", 400);
        fleet.config["members"] = json!([]);
        fleet.config["min_members"] = 0.into();
        fleet.layout.write_ring(&fleet.config.to_string()).unwrap();
        fleet.envoy.wait_members(&[]).unwrap();
        assert_same(push, ("PUT", PUSH), &[], "x 1\n", 503);
    }
}

/// Envoy answers these before it has the whole body, which a client library may take for an error.
#[test]
fn limits_have_the_same_status_and_text() {
    let size = ("max_request_bytes: 16777216", "max_request_bytes: 100");
    for (edit, status) in [(size, "413"), (("request_timeout: 60s", "request_timeout: 0.1s"), "408")] {
        for mode in Mode::ROUTED {
            let fleet = EnvoyFixture::edited(mode, 1, &[edit]);
            let answers = TYPES.map(|kind| {
                let head =
                    format!("PUT {PUSH} HTTP/1.1\r\nhost: a\r\ncontent-length: 999\r\nconnection: close\r\n");
                let request = format!("{head}content-type: {kind}\r\n\r\n{}", "#".repeat(500));
                let answer =
                    String::from_utf8(http::raw(fleet.envoy.push, request.as_bytes()).unwrap()).unwrap();
                let (head, text) = answer.split_once("\r\n\r\n").unwrap();
                assert!(
                    head.contains("content-type: text/plain\r\n") && !head.contains("grpc"),
                    "{mode} {answer}"
                );
                (head.split(' ').nth(1).unwrap().to_owned(), text.to_owned())
            });
            assert!(
                answers.iter().all(|answer| answer.0 == status && *answer == answers[0]),
                "{mode} {answers:?}"
            );
        }
    }
}
