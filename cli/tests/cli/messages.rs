//! Messages about servers, secrets and options: they name their subject and show no secret.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use serde_json::{Value, json};
use tempfile::tempdir;

const SECRET: &str = "S3CRETb64";

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushring"));
    command.current_dir(dir).stdin(Stdio::null());
    for name in ["CONSUL_HTTP_TOKEN", "CONSUL_HTTP_ADDR", "CONSUL_HTTP_AUTH", "CONSUL_NAMESPACE"] {
        command.env_remove(name);
    }
    command
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// Writes the same bytes to each client, and returns its address; `piece` follows without end.
fn server(start: &'static str, piece: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).unwrap_or(0);
                let status = String::from_utf8_lossy(&head[..read]).contains("/api/v1/status");
                if status {
                    let body = r#"{"data":{"start_time":"1"}}"#;
                    let date = "Date: Sat, 21 Nov 2026 10:00:00 GMT";
                    let head = format!("HTTP/1.1 200 OK\r\n{date}\r\nContent-Length: {}\r\n", body.len());
                    return stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
                }
                stream.write_all(start.as_bytes())?;
                while !piece.is_empty() {
                    stream.write_all(piece)?;
                }
                Ok(())
            });
        }
    });
    address
}

const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

/// Few bytes that would become much memory: groups, labels, families, and values that no group keeps.
#[test]
fn an_answer_of_a_gateway_cannot_fill_the_memory() {
    let dir = tempdir().unwrap();
    for (start, piece) in [
        (r#"{"data":["#, &br#"{"labels":{"job":"a"}},"#[..]),
        (r#"{"data":["#, br#"{"labels":{}},"#),
        (
            r#"{"data":["#,
            br#"{"labels":{},"m":{"time_stamp":"2026-11-21T10:00:00Z","type":"","metrics":[]}},"#,
        ),
        (r#"{"data":[{"labels":{"#, br#""a":"b","#),
        (r#"{"data":[{"labels":{"a":""#, b"aaaaaaaaaaaaaaaa"),
        (r#"{"data":[{"labels":"#, b"["),
    ] {
        let start: &str = Box::leak(format!("{OK}{start}").into_boxed_str());
        let address = server(start, piece);
        fs::write(dir.path().join("c"), json!({"members": [address]}).to_string()).unwrap();
        let mut command = command(dir.path());
        command.env("PUSHRING_MAX_ANSWER_MEMORY", "1000000").env("PUSHRING_MAX_ANSWER_BYTES", "100000000");
        command.args(["groups", "--config", "c", "--output", "json"]);
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let reason = report["unreadable"][0]["reason"].as_str().unwrap_or_else(|| panic!("{report}"));
        let limits = ["more than 1000000 bytes of memory", "a text of more than", "128 levels"];
        assert!(limits.iter().any(|limit| reason.contains(limit)), "{start}: {reason}");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// A part that no group keeps does not count: a family has any number of metrics.
#[test]
fn metrics_that_are_not_kept_need_no_memory() {
    let dir = tempdir().unwrap();
    let metrics = vec![r#"{"labels":{"job":"a","b":"c"},"value":"1"}"#; 50_000].join(",");
    let family = format!(r#"{{"time_stamp":"2026-11-21T10:00:00Z","type":"GAUGE","metrics":[{metrics}]}}"#);
    let group =
        format!(r#"{{"labels":{{"job":"a"}},"m":{family},"push_time_seconds":{family},"z":{family}}}"#);
    let start = Box::leak(format!("{OK}{{\"data\":[{group}]}}").into_boxed_str());
    fs::write(dir.path().join("c"), json!({"members": [server(start, b"")]}).to_string()).unwrap();
    let mut command = command(dir.path());
    command.env("PUSHRING_MAX_ANSWER_MEMORY", "100000");
    let output = command.args(["groups", "--config", "c", "--output", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["groups"].as_array().unwrap().len(), &report["unreadable"]), (1, &json!([])));
}

#[test]
fn an_answer_of_consul_cannot_fill_the_memory() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("c"), json!({"members": ["10.0.0.1:9091"]}).to_string()).unwrap();
    for piece in [&b"{\"a\":1},"[..], b"1,", b"[],"] {
        let start: &str = Box::leak(format!("{OK}[").into_boxed_str());
        let address = server(start, piece);
        let mut command = command(dir.path());
        command.env("PUSHRING_MAX_ANSWER_MEMORY", "1000000");
        command.args(["owner", "--config", "c", "--consul", &address, "/metrics/job/a"]);
        let output = text(&command.output().unwrap());
        let named = format!("Consul's agent at http://{address}: ");
        assert!(output.contains(&named) && output.contains("1000000 bytes of memory"), "{output}");
    }
}

#[test]
fn a_table_shortens_a_long_label_and_json_has_it_whole() {
    let dir = tempdir().unwrap();
    let job = "j".repeat(1_000_000);
    let family = r#"{"time_stamp":"2026-11-20T10:00:00Z","type":"GAUGE","metrics":[{"value":"1.7e9"}]}"#;
    let group = format!(r#"{{"labels":{{"job":"{job}","z":"end"}},"push_time_seconds":{family}}}"#);
    let start = Box::leak(format!("{OK}{{\"data\":[{group}]}}").into_boxed_str());
    fs::write(dir.path().join("c"), json!({"members": [server(start, b"")]}).to_string()).unwrap();
    for args in [
        &["groups"][..],
        &["expire", "--after", "1s", "--dry-run"],
        &["delete", "--job", "j+", "--dry-run"],
        &["sweep", "--dry-run"],
    ] {
        let run = |output: &str| {
            let mut command = command(dir.path());
            text(&command.args(args).args(["--config", "c", "--output", output]).output().unwrap())
        };
        let table = run("table");
        assert!(table.len() < 10_000 && !table.contains(&"j".repeat(200)), "{args:?}: {}", table.len());
        if args[0] != "sweep" {
            assert!(run("json").contains(&job), "{args:?}");
        }
    }
    let mut command = command(dir.path());
    let path = format!("/metrics/job/{}", "j".repeat(50_000));
    let table = text(&command.args(["owner", "--config", "c", &path]).output().unwrap());
    assert!(table.len() < 10_000 && table.contains("push"), "{}", table.len());
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let dir = tempdir().unwrap();
    let settings = format!("filter: {{}}\ngateways: {{scheme: https, authorization_file: Basic {SECRET}}}\n");
    fs::write(dir.path().join("settings.yaml"), settings).unwrap();
    fs::write(dir.path().join("m"), json!({"members": [format!("u:{SECRET}@h:1")]}).to_string()).unwrap();
    fs::write(dir.path().join("c"), json!({"members": ["10.0.0.1:9091"]}).to_string()).unwrap();
    fs::write(dir.path().join("r"), json!({"registrations": []}).to_string()).unwrap();
    let header = format!("Authorization: Basic {SECRET}");
    let unquoted: Vec<&str> = header.split(' ').collect();
    for args in [
        &["check", "settings.yaml"][..],
        &["check", "settings.yaml", "--output", "json"],
        &["publish", "--registrations", "r", "--settings", "settings.yaml", "--live", "live"],
        &["check", "m"],
        &["check", "m", "--output", "json"],
        &["groups", "--config", "m"],
        &["groups", "--config", "c", "--gateway-token", "Bearer", SECRET],
        &["groups", "--config", "c", "--gateway-token=Bearer", SECRET],
        &["groups", "--config", "c", "--gateway-password", "a", SECRET],
        &["register", "--consul-token", "Bearer", SECRET],
        &["register", "--consul-token", "a", SECRET],
        &["drain", "--config", "c", "--gateway-token", "a", SECRET],
        &[&["register", "10.0.0.1:9091", "--check-header"], &unquoted[..]].concat(),
    ] {
        let output = command(dir.path()).args(args).output().unwrap();
        let text = text(&output);
        assert!(!output.status.success() && !text.is_empty() && !text.contains(SECRET), "{args:?}: {text}");
    }
    let mut command = command(dir.path());
    let text = text(&command.args(["register", "--consul-token", "a", "10.0.0.1"]).output().unwrap());
    assert!(text.contains("address: found \"10.0.0.1\"") || text.contains("***"), "{text}");
}

#[test]
fn a_message_names_its_subject() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("bom"), "\u{feff}{\"members\": [\"10.0.0.1:9091\"]}").unwrap();
    fs::write(dir.path().join("c"), json!({"members": ["10.0.0.1:9091"]}).to_string()).unwrap();
    let owner = |args: &[&str]| {
        let output = command(dir.path()).args(["owner", "/metrics/job/a"]).args(args).output().unwrap();
        text(&output)
    };
    let bom = owner(&["--config", "bom"]);
    assert!(bom.contains("--config: bom: found a byte order mark"), "{bom}");
    let gzip = server("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", b"");
    let message = owner(&["--config", "c", "--consul", &gzip]);
    assert!(message.contains(&format!("http://{gzip}: found content-encoding")), "{message}");
    let smtp = server("220 smtp ready\r\n", b"");
    let message = owner(&["--config", "c", "--consul", &smtp]);
    assert!(message.contains("does not answer as a web server does"), "{message}");
    assert!(!message.contains("cannot be reached"), "{message}");
}

#[test]
fn a_full_disk_is_an_error() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("c"), json!({"members": ["10.0.0.1:9091"]}).to_string()).unwrap();
    for args in [
        &["--help"][..],
        &["--version"],
        &["plan", "--help"],
        &["plan", "--from", "c", "--to", "c"],
        &["check", "c"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(dir.path()).args(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text(&output));
        assert!(text(&output).contains("No space left"), "{args:?}: {}", text(&output));
    }
    let output =
        command(dir.path()).args(["plan", "--from", "c", "--to", "c", "--svg", "/dev/full"]).output();
    assert_eq!(output.unwrap().status.code(), Some(1));
}

#[test]
fn variables_of_consul_are_used_or_named() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("c"), json!({"members": ["10.0.0.1:9091"]}).to_string()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let read = stream.read(&mut head).unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    let mut command = command(dir.path());
    command.env("CONSUL_HTTP_AUTH", "ops:s3cret").env("CONSUL_NAMESPACE", "team");
    command.args(["owner", "--config", "c", "--consul", &address, "/metrics/job/a"]);
    let output = text(&command.output().unwrap());
    assert!(output.contains("CONSUL_NAMESPACE is set, but pushring does not read it"), "{output}");
    assert!(!output.contains("CONSUL_HTTP_AUTH") && !output.contains("s3cret"), "{output}");
    let head = asked.join().unwrap().to_ascii_lowercase();
    // ops:s3cret
    assert!(head.contains("authorization: basic b3bzonmzy3jlda=="), "{head}");
}
