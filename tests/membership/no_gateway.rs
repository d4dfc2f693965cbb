//! Addresses that are no Pushgateway: `register` refuses them, and an Envoy on its own ring passes no check and loops no push.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use pushring_harness::command::{CommandOutput, pushring};
use pushring_harness::http::Client;
use pushring_harness::{Consul, ConsulFixture, EnvoyFixture, Mode, Pushgateway, poll_until};
use serde_json::{Value, json};

fn register(consul: SocketAddr, address: &str, more: &[&str]) -> CommandOutput {
    let consul = consul.to_string();
    pushring([&["register", address, "--consul", &consul], more].concat()).unwrap()
}

/// IDs of the services at the agent.
fn services(consul: SocketAddr) -> Vec<String> {
    let services = Client::new(consul).unwrap().get("/v1/agent/services").unwrap().json().unwrap();
    services.as_object().unwrap().keys().cloned().collect()
}

/// Gives the same answer to every connection.
fn server(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    address
}

#[test]
fn register_refuses_what_is_no_pushgateway() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let gateway = Pushgateway::start(dir.path(), &["--web.route-prefix=/pg"]).unwrap();
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let answers: [(&[u8], &str); 8] = [
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>", "found a web page"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "found another answer: \"{}\""),
        (b"HTTP/1.1 301 x\r\nlocation: https://a/x\r\ncontent-length: 0\r\n\r\n", "a redirect to"),
        (b"HTTP/1.1 302 x\r\nlocation: https://a/\r\ncontent-length: 0\r\n\r\n", "HTTP 302, a redirect to \"https://a/\""),
        (b"HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n", "it asks for credentials"),
        (b"HTTP/1.1 404 x\r\ncontent-length: 31\r\nconnection: close\r\n\r\nPrometheus Server is Healthy.\n\n", "found a Prometheus server"),
        (b"HTTP/1.1 404 x\r\ncontent-length: 8\r\nconnection: close\r\n\r\n\x1b[2J\xe2\x80\xae\n", r#"HTTP 404: "\u{1b}[2J\u{202e}"; --path-prefix"#),
        (b"SSH-2.0-x\r\n", "found no HTTP server"),
    ];
    let mut cases: Vec<(String, &str)> =
        answers.iter().map(|(answer, found)| (server(answer).to_string(), *found)).collect();
    cases.push((free.to_string(), "start it first; --no-probe"));
    cases.push((gateway.address.to_string(), "--web.route-prefix"));
    for (address, found) in &cases {
        // With a good gateway next to it, and as a forecast.
        for more in [&["--path-prefix=/"][..], &["--dry-run"]] {
            let output = register(consul.address, address, more);
            assert_eq!(output.code, 2, "{address} {found}: {}", output.stdout);
            assert!(output.stderr.contains(found), "{found}: {}", output.stderr);
            assert!(output.stderr.contains(&format!("{address} is no Pushgateway")), "{}", output.stderr);
            assert!(!output.stderr.contains(['\u{1b}', '\u{202e}']), "{}", output.stderr);
        }
    }
    let good = gateway.address.to_string();
    let all = register(consul.address, &good, &[&cases[0].0, "--path-prefix=pg"]);
    assert_eq!((all.code, services(consul.address)), (2, vec![]), "nothing is registered if one is refused");

    assert_eq!(register(consul.address, &good, &["--path-prefix=pg"]).code, 0);
    assert_eq!(register(consul.address, &free.to_string(), &["--no-probe"]).code, 0);
    assert_eq!(services(consul.address).len(), 2);
    // A registered gateway may be down when it is registered again.
    assert_eq!(register(consul.address, &free.to_string(), &["--interval=7s"]).code, 0);
    // It is up, and has no TLS.
    let refused = register(consul.address, &good, &["--scheme=https"]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.stderr.contains("it speaks no TLS: --scheme http"), "{}", refused.stderr);
}

/// The Envoy of every mode: refused, and where it is registered all the same, critical.
#[test]
fn an_envoy_passes_no_check_for_a_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    for mode in Mode::ALL {
        let fixture = EnvoyFixture::start(mode, 1);
        let address = fixture.envoy.push.to_string();
        let refused = register(consul.address, &address, &[]);
        assert_eq!(refused.code, 2, "{mode}");
        assert!(refused.stderr.contains("found an Envoy with pushring"), "{mode}: {}", refused.stderr);

        let quick = ["--no-probe", "--interval=100ms", "--success-before-passing=1"];
        assert_eq!(register(consul.address, &address, &quick).code, 0);
        let client = Client::new(consul.address).unwrap();
        let id = address.replace(':', "_");
        let check = poll_until("Consul to run the check", || {
            let checks = client.get("/v1/agent/checks").ok()?.json().ok()?;
            let check = checks[&format!("service:{id}")].clone();
            check["Output"].as_str()?.contains("HTTP GET").then_some(check)
        })
        .unwrap();
        assert_eq!(check["Status"], "critical", "{mode}: {check}");
        let output = check["Output"].as_str().unwrap();
        assert!(output.contains("508") && output.contains("an Envoy and no Pushgateway"), "{mode}: {output}");
        // A load balancer in front of Envoy sends no mark.
        let envoy = fixture.envoy.client().unwrap();
        assert_eq!(envoy.get("/-/healthy").unwrap().status, 200, "{mode}");
        assert_eq!(envoy.get("/-/ready").unwrap().status, 200, "{mode}");
    }
}

/// An Envoy that is registered by other means, under a name and with a check that passes.
#[test]
fn a_push_to_an_envoy_on_its_own_ring_fails_under_every_name() {
    for mode in Mode::ROUTED {
        let fixture = ConsulFixture::start(mode, 1, &[]);
        let envoy = fixture.envoy.push;
        let service = json!({
            "Name": "pushgateway", "ID": "by-mistake", "Address": envoy.ip(), "Port": envoy.port(),
            "Meta": {"pushring-name": "by-mistake"}, "Check": {"TTL": "24h", "Status": "passing"},
        });
        fixture.consul.put("/v1/agent/service/register", &service).unwrap();
        let gateway = fixture.gateways[0].address.to_string();
        fixture.envoy.wait_members(&[&gateway, "by-mistake"]).unwrap();
        let client = fixture.envoy.client().unwrap();
        let owner = |path: &str| -> Value {
            let answer = client.send("GET", path, &[("accept", "application/json")], "").unwrap();
            answer.json().unwrap()["owner"]["name"].clone()
        };
        let paths = (0..).map(|number| format!("/metrics/job/j{number}"));
        let path = paths.into_iter().find(|path| owner(path) == "by-mistake").unwrap();
        let answer = client.put(&path, "x 1\n").unwrap();
        assert_eq!(answer.status, 508, "{mode}: {}", answer.text());
        assert!(
            fixture.gateways[0].groups().unwrap().iter().all(|group| group["job"] != path[13..]),
            "{mode}"
        );
    }
}
