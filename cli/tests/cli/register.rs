//! Files, failures and partial results of `register`. With a real Consul: tests/membership/register.rs.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;
use tempfile::tempdir;

/// The command without what the environment says about Consul.
fn pushring(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushring"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CONSUL_")) {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Answers connections one by one with these statuses and bodies, as an agent in trouble would.
fn agent(answers: &'static [(u16, &'static str)]) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 65536]);
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close", body.len());
            let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
        }
    });
    address
}

#[test]
fn reports_registrations_before_a_failure() {
    let agent = agent(&[(200, "{}"), (200, ""), (500, "No cluster leader")]);
    let agent = agent.to_string();
    let args =
        ["register", "--no-probe", "10.0.0.1:9091", "10.0.0.2:9091", "10.0.0.3:9091", "--consul", &agent];
    let output = pushring(&[&args[..], &["--output", "json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["results"].as_array().unwrap().len(), 1);
    assert_eq!(report["results"][0]["id"], "10.0.0.1_9091");
    let error = stderr(&output);
    assert!(error.contains("1 done, 2 not") && error.contains("(500): No cluster leader"), "{error}");
}

#[test]
fn a_refused_token_says_what_it_needs() {
    let agent = agent(&[(403, "Permission denied")]).to_string();
    let output = pushring(&["deregister", "10.0.0.1:9091", "--consul", &agent, "--consul-token", "secret"]);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("Permission denied; the token needs service:write"), "{error}");
    assert!(!error.contains("secret"));
}

#[test]
fn an_agent_that_is_not_there() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    let output = pushring(&["register", "10.0.0.1:9091", "--consul", &free]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot be reached; check --consul"), "{}", stderr(&output));
}

#[test]
fn bad_input_is_refused_before_anything_is_done() {
    let dir = tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let unknown = file("unknown.yml", "pushgateway: {port: 9091, servers: [10.0.0.1], tags: []}");
    let none = file("none.yml", "pushgateway: {port: 9091, servers: []}");
    let host = file("host.yml", "pushgateway: {port: 9091, servers: [10.0.0.1, \"a b\"]}");
    let port = file("port.yml", "pushgateway: {port: 99999, servers: [10.0.0.1]}");
    let service = file(
        "service.yml",
        "consul_server: {register_service_name: a|b}\npushgateway: {port: 9091, servers: [10.0.0.1]}",
    );
    let cases: [(&[&str], &str); 21] = [
        (&["--from-dynamic-sharding", &unknown], "unknown field `tags`"),
        (&["--from-dynamic-sharding", &none], "pushgateway.servers: found none"),
        (&["--from-dynamic-sharding", &host], "found \"a b:9091\""),
        (&["--from-dynamic-sharding", &port], "port"),
        (&["--from-dynamic-sharding", "/nowhere.yml"], "/nowhere.yml"),
        (
            &["--from-dynamic-sharding", &service],
            "consul_server.register_service_name: found \"a|b\", allowed 1 to 63 letters",
        ),
        (&["10.0.0.1:9091", "--service", "a.b"], "--service: found \"a.b\""),
        (&["10.0.0.1:9091", "--service", ""], "--service: found \"\""),
        (&["::1:9091"], "an IPv6 host in brackets"),
        (&["010.0.0.1:9091"], "found \"010.0.0.1:9091\", allowed an IPv4 address as four decimal numbers"),
        (&["2130706433:9091"], "allowed an IPv4 address as four decimal numbers"),
        (&["0.0.0.0:9091"], "allowed the address of one machine"),
        (&["255.255.255.255:9091"], "allowed the address of one machine"),
        (&["[fe80::1]:9091"], "allowed the address of one machine"),
        (&["10.0.0.1:9091", "--path-prefix", "/.."], "without the segments . and .."),
        (&["10.0.0.1:9091", "--path-prefix", "/a/%2E%2e/b"], "without the segments . and .."),
        (&["10.0.0.1:9091", "--path-prefix", "a\\.\\b"], "without the segments . and .."),
        (&["10.0.0.1:9091", "--path-prefix", "."], "without the segments . and .."),
        (&["10.0.0.1:9091", "--check-header", "x-pushring-gateway: a"], "is a header for pushring itself"),
        (&["10.0.0.1:9091", "--interval", "5"], "time unit needed"),
        (&["10.0.0.1:9091", "--consul", "ftp://x"], "--consul: found \"ftp://x\""),
    ];
    let long = format!("{}:9091", "a".repeat(65536));
    let long_host =
        file("long.yml", &format!("pushgateway: {{port: 9091, servers: [{}]}}", "a".repeat(65536)));
    let too_long: [(&[&str], &str); 2] = [
        (&[&long], "address: found 65541 bytes"),
        (&["--from-dynamic-sharding", &long_host], "pushgateway.servers: address: found 65536 bytes"),
    ];
    for (args, message) in cases.into_iter().chain(too_long) {
        let output = pushring(&[&["register"], args].concat());
        assert!(output.stderr.len() < 1000, "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn an_id_of_another_service_is_not_replaced() {
    let agent =
        agent(&[(200, r#"{"10.0.0.1_9091": {"Service": "billing", "Address": "10.0.0.1", "Port": 9091}}"#)]);
    let output = pushring(&["register", "--no-probe", "10.0.0.1:9091", "--consul", &agent.to_string()]);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("ID 10.0.0.1_9091 belongs to the service billing"), "{error}");
    assert!(error.contains("consul services deregister -id='10.0.0.1_9091'"), "{error}");
}

/// The agent has the ID of this gateway, at another address.
#[test]
fn an_id_alone_removes_nothing() {
    const SERVICES: &str =
        r#"{"10.0.0.1_9091": {"Service": "pushgateway", "Address": "10.0.0.2", "Port": 9091}}"#;
    let agent = agent(&[(200, SERVICES), (200, "[]")]);
    let args = ["deregister", "10.0.0.1:9091", "--consul", &agent.to_string(), "--output", "json"];
    let output = pushring(&args);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["results"][0]["result"], "absent", "{}", stderr(&output));
}

/// Every command that reads the members from Consul, before it asks Consul.
#[test]
fn a_bad_name_of_a_service_is_refused_everywhere() {
    let dir = tempdir().unwrap();
    let ring = dir.path().join("ring.json");
    fs::write(&ring, r#"{"members": ["10.0.0.1:9091"]}"#).unwrap();
    let fleet = ["--config", ring.to_str().unwrap(), "--consul", "http://127.0.0.1:1"];
    for command in
        [&["owner", "/metrics/job/a"][..], &["groups"], &["sweep", "--dry-run"], &["drain", "10.0.0.2:9091"]]
    {
        for (more, message) in [
            (["--service", "a~b"], "--service: found \"a~b\", allowed 1 to 63 letters"),
            (["--datacenter", "dc1|x"], "--datacenter: found \"dc1|x\""),
        ] {
            let output = pushring(&[command, &fleet, &more].concat());
            assert_eq!(output.status.code(), Some(2), "{command:?} {}", stderr(&output));
            assert!(stderr(&output).contains(message), "{command:?} {}", stderr(&output));
        }
    }
}
