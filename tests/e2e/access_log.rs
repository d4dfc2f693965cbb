//! The access log of the shipped files: one line for each push that failed, with all that an operator needs, and nothing
//! that a client could forge or must keep secret.

use std::io::{Read, Write};
use std::net::TcpStream;

use pushring_harness::http::Client;
use pushring_harness::{Envoy, EnvoyFixture, Mode, poll_until};
use serde_json::Value;

/// Returns all lines so far.
pub(crate) fn lines(envoy: &Envoy) -> Vec<Value> {
    let log = envoy.process.log();
    log.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for a line about `path` and returns it.
pub(crate) fn line(envoy: &Envoy, path: &str) -> Value {
    poll_until(&format!("a line about {path}"), || lines(envoy).into_iter().find(|line| line["path"] == path))
        .unwrap()
}

#[test]
fn a_line_names_client_group_owner_and_the_reason() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 3);
        let client = fleet.envoy.client().unwrap();
        // The gateway's own answer.
        let path = "/metrics/job/bad-text";
        assert_eq!(client.put(&format!("{path}?query"), "no metric at all\n").unwrap().status, 400);
        let found = line(&fleet.envoy, path);
        let owner = fleet.gateways[fleet.owner(path)].address.to_string();
        assert_eq!(found["method"], "PUT", "{mode}: {found}");
        assert_eq!(found["status"], 400, "{mode}: {found}");
        assert_eq!(found["details"], "via_upstream", "{mode}: {found}");
        assert_eq!(found["upstream"], owner, "{mode}: {found}");
        assert!(found["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{mode}: {found}");
        assert!(found["bytes"].as_u64() > Some(0) && found["milliseconds"].is_u64(), "{mode}: {found}");
        if mode == Mode::Cluster {
            assert_eq!(found["owner"], format!("pushgateway-{owner}"), "{found}");
        }
    }
}

#[test]
fn a_line_names_the_gateway_that_did_not_answer() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::start(mode, 3);
        let path = "/metrics/job/a";
        let owner = fleet.gateways[fleet.owner(path)].address.to_string();
        let last = fleet.gateways[fleet.clockwise(path)[2]].address.to_string();
        fleet.gateways.iter_mut().for_each(|gateway| gateway.process.kill());
        assert_eq!(fleet.envoy.client().unwrap().put(path, "x 1\n").unwrap().status, 503);
        let found = line(&fleet.envoy, path);
        assert_eq!(found["attempts"], 3, "{mode}: {found}");
        assert_eq!(found["upstream"], if mode == Mode::Cluster { owner } else { last }, "{mode}: {found}");
        assert!(found["flags"].as_str().unwrap().contains("UF"), "{mode}: {found}");
        assert!(found["failure"].as_str().unwrap().contains("refused"), "{mode}: {found}");
    }
}

#[test]
fn operators_learn_which_gateway_did_not_answer() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::start(mode, 1);
        let operator = Client::new(fleet.envoy.operator.unwrap()).unwrap();
        let address = fleet.gateways[0].address.to_string();
        let ask = |path: &str, gateway: &str| {
            let answer = operator.send("GET", path, &[("x-pushring-gateway", gateway)], "").unwrap();
            assert_eq!(answer.status, 503, "{mode}: {}", answer.text());
            let line = line(&fleet.envoy, path);
            assert_eq!(line["port"], fleet.envoy.operator.unwrap().port(), "{mode}: {line}");
            (answer.text(), line)
        };
        let (text, found) = ask("/unknown", "127.0.0.1:1");
        assert!(text.contains("127.0.0.1:1"), "{mode}: {text}");
        assert_eq!(found["gateway"], "127.0.0.1:1", "{mode}: {found}");
        // A name of any length costs no status.
        assert!(ask("/long", &"n".repeat(50_000)).0.len() < 1000, "{mode}");
        fleet.gateways[0].process.kill();
        let (text, found) = ask("/down", &fleet.destination(0));
        assert!(text.contains(&address) && text.contains("no answer"), "{mode}: {text}");
        assert_eq!(found["upstream"], address, "{mode}: {found}");
    }
}

/// The last request is answered with 404 in every mode, so all lines before it are written by then.
#[test]
fn good_answers_are_not_logged() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 2);
        let client = fleet.envoy.client().unwrap();
        let expected = if mode == Mode::Redirect { 307 } else { 200 };
        assert_eq!(client.put("/metrics/job/a", "x 1\n").unwrap().status, expected);
        assert_eq!(client.get("/-/ready").unwrap().status, 200);
        assert_eq!(client.get("/-/pushring").unwrap().status, 200);
        client.get("/last").unwrap();
        line(&fleet.envoy, "/last");
        assert_eq!(lines(&fleet.envoy).len(), 1, "{mode}: {:?}", lines(&fleet.envoy));
    }
}

/// A client can put any byte into a path that Envoy accepts, and passwords into a query, a URL or a header.
#[test]
fn clients_forge_no_line_and_leak_no_password() {
    let requests = [
        "PUT /quote\"},{\"status\":200,\"x\":\" HTTP/1.1\r\nhost: a\r\n",
        "PUT /escape%0a{\"status\":200}%1b[31m\\u000a HTTP/1.1\r\nhost: a\r\n",
        "PUT /query?password=hunter2 HTTP/1.1\r\nhost: a\r\n",
        "PUT http://user:hunter2@host/absolute HTTP/1.1\r\nhost: a\r\n",
        "PUT /basic HTTP/1.1\r\nhost: user:hunter2@a\r\nauthorization: Basic hunter2\r\ncookie: hunter2\r\n",
        "PUT /headers HTTP/1.1\r\nhost: a\r\nx-pushring-destination: hunter2\r\nuser-agent: hunter2\r\n",
        "PUT /bad\u{1} HTTP/1.1\r\nhost: a\r\nx-secret: hunter2\r\n",
        "PUT /metrics/job/a%ff?token=hunter2 HTTP/1.1\r\nhost: a\r\nx-pushring-reason: hunter2\r\n",
        "PUT /host HTTP/1.1\r\nhost: hunter2\r\nreferer: http://hunter2/\r\n",
        "HUNT /method HTTP/1.1\r\nhost: a\r\nproxy-authorization: hunter2\r\n",
    ];
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 1);
        for request in requests {
            let mut stream = TcpStream::connect(fleet.envoy.push).unwrap();
            stream.write_all(format!("{request}content-length: 0\r\n\r\n").as_bytes()).unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0, "{mode}: {request}");
        }
        Client::http2(fleet.envoy.push).unwrap().get("/last?hunter2").unwrap();
        line(&fleet.envoy, "/last");
        // `lines` fails on a line that is not JSON.
        let lines = lines(&fleet.envoy);
        assert_eq!(lines.len(), requests.len() + 1, "{mode}: {lines:#?}");
        assert!(!fleet.envoy.process.log().contains("hunter2"), "{mode}: {}", fleet.envoy.process.log());
        assert!(lines.iter().all(|line| line["status"] != 200), "{mode}: {lines:#?}");
        assert_eq!(lines[0]["path"], "/quote\"},{\"status\":200,\"x\":\"", "{mode}");
    }
}
