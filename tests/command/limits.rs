//! Servers whose answers trickle, never end or break off cannot hold a command.

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use pushring_harness::command::{CommandOutput, command};
use pushring_harness::raw_server::serve_raw;
use pushring_harness::{Process, Pushgateway, command::prepare, process, tools};
use rustix::process::Signal;
use serde_json::json;

/// How an answer never ends well.
#[derive(Clone, Copy, Debug)]
enum Behavior {
    /// A byte from time to time.
    Trickle,
    /// As much as the client takes.
    Endless,
    EndlessHeaders,
    /// Interim answers, one after the other.
    EndlessContinue,
    TrickleHeaders,
    LongContentLength,
    Bomb,
    Cut,
    NoHttp,
    Redirect,
}

use Behavior::*;

const HEAD: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n";

impl Behavior {
    fn answer(self, stream: &mut TcpStream) -> io::Result<()> {
        let forever = |start: String, piece: &[u8], pause: u64, stream: &mut TcpStream| {
            stream.write_all(start.as_bytes())?;
            loop {
                stream.write_all(piece)?;
                thread::sleep(Duration::from_millis(pause));
            }
        };
        match self {
            Trickle => forever(format!("{HEAD}\r\n "), b" ", 20, stream),
            Endless => forever(format!("{HEAD}\r\n "), &[b' '; 4096], 0, stream),
            EndlessHeaders => forever(HEAD.to_owned(), b"a: b\r\n", 0, stream),
            EndlessContinue => forever(String::new(), b"HTTP/1.1 100 Continue\r\n\r\n", 1, stream),
            TrickleHeaders => forever(HEAD.to_owned(), b"a", 20, stream),
            LongContentLength => {
                stream.write_all(format!("{HEAD}Content-Length: 99999999\r\n\r\n").as_bytes())
            }
            Bomb => {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
                gzip.write_all(&vec![b' '; 50_000_000])?;
                let body = gzip.finish()?;
                let length = body.len();
                stream.write_all(
                    format!("{HEAD}Content-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
                )?;
                stream.write_all(&body)
            }
            Cut => stream.write_all(format!("{HEAD}Content-Length: 100\r\n\r\n ").as_bytes()),
            NoHttp => stream.write_all(b"220 smtp ready\r\n"),
            Redirect => {
                let location = "http://ops:s3cret@10.9.8.7/";
                stream.write_all(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n").as_bytes())
            }
        }
    }
}

/// All of them, each with a part of the reason that the command must give.
const ALL: [(Behavior, &str); 10] = [
    (Trickle, "took longer than 1s"),
    (Endless, "larger than 1000000 bytes"),
    (EndlessHeaders, ""),
    (EndlessContinue, "no answer in time"),
    (TrickleHeaders, "no answer in time"),
    (LongContentLength, "larger than 1000000 bytes"),
    (Bomb, "content-encoding"),
    (Cut, "broke off"),
    (NoHttp, ""),
    (Redirect, "a redirect to http://***@10.9.8.7/, which is not followed"),
];

/// Starts a gateway that is honest about its status only.
fn gateway(behavior: Behavior) -> SocketAddr {
    serve_raw(move |head, stream| {
        if !head.contains(" /api/v1/status ") {
            return behavior.answer(stream);
        }
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now()).unwrap_or_default();
        let body = r#"{"data":{"start_time":"1"}}"#;
        let length = body.len();
        stream.write_all(format!("{HEAD}Date: {date}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes())
    })
    .unwrap()
}

fn server(behavior: Behavior) -> String {
    serve_raw(move |_, stream| behavior.answer(stream)).unwrap().to_string()
}

fn run(args: &[&str]) -> CommandOutput {
    let mut command = command().unwrap();
    command.env("PUSHRING_MAX_ANSWER_TIME", "1s").env("PUSHRING_MAX_ANSWER_BYTES", "1000000");
    let output = command.args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    CommandOutput {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn config(dir: &Path, members: &[SocketAddr]) -> String {
    let path = dir.join("pushring.json");
    fs::write(&path, json!({"members": members, "status_path": "/-/pushring"}).to_string()).unwrap();
    path.display().to_string()
}

/// The gateway is unreadable for the right reason, and the others are read.
#[test]
fn hostile_gateways_are_unreadable() {
    let dir = tempfile::tempdir().unwrap();
    let honest = Pushgateway::start(dir.path(), &[]).unwrap();
    honest.client().unwrap().put("/metrics/job/a", "x 1\n").unwrap();
    // All at once, so that the test takes as long as the slowest.
    let mut members: Vec<SocketAddr> = ALL.into_iter().map(|(behavior, _)| gateway(behavior)).collect();
    let hostile = members.clone();
    members.push(honest.address);
    let config = config(dir.path(), &members);
    let args = ["groups", "--config", &config, "--output", "json", "--gateway-timeout", "2s"];
    let output = run(&[&args[..], &["--gateway-concurrency", "32"]].concat());
    let report = output.json().unwrap();
    assert_eq!(report["groups"].as_array().unwrap().len(), 1, "{report}");
    for (address, (behavior, expected)) in hostile.iter().zip(ALL) {
        let address = address.to_string();
        let unreadable = report["unreadable"].as_array().unwrap();
        let found = unreadable.iter().find(|found| found["gateway"] == address.as_str());
        let reason = found.unwrap_or_else(|| panic!("{behavior:?}: {report}"))["reason"].as_str().unwrap();
        assert!(reason.contains(expected) && !reason.contains("s3cret"), "{behavior:?}: {reason}");
    }
}

/// Consul and Envoy are errors, not gateways without members.
#[test]
fn hostile_agents_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &["10.0.0.1:9091".parse().unwrap()]);
    // The others are errors of the head, which every client has.
    for (behavior, reason) in
        ALL.into_iter().filter(|(_, reason)| !["", "no answer in time"].contains(reason))
    {
        let url = format!("http://{}", server(behavior));
        for args in [
            &["owner", "--config", &config, "--consul", &url, "/metrics/job/a"][..],
            &["register", "--consul", &url, "10.0.0.1:9091"],
            &["sweep", "--config", &config, "--settle", "0s", "--envoy", &url],
        ] {
            let output = run(args);
            // A register of which only the answer is odd is done.
            assert!(output.code != 0 || args[0] == "register", "{behavior:?} {args:?}: {output:?}");
            assert!(output.code == 0 || output.stderr.contains(reason), "{behavior:?} {args:?}: {output:?}");
            assert!(!format!("{output:?}").contains("s3cret"), "{output:?}");
        }
    }
}

/// A pass over a gateway that trickles ends, so the next one begins, and the sweeper stops.
#[test]
fn trickling_gateway_does_not_hold_the_watcher() {
    let dir = tempfile::tempdir().unwrap();
    let honest = Pushgateway::start(dir.path(), &[]).unwrap();
    let config = config(dir.path(), &[honest.address, gateway(Trickle)]);
    let mut command = prepare(process::command(&tools::pushring().unwrap()));
    command.env("PUSHRING_MAX_ANSWER_TIME", "300ms");
    command.args([
        "sweep",
        "--watch",
        "1s",
        "--single",
        "--settle",
        "0s",
        "--listen",
        "127.0.0.1:0",
        "--config",
        &config,
    ]);
    let mut sweeper = Process::start("sweeper", command, dir.path()).unwrap();
    let passes =
        |process: &Process| (process.log().matches("\"message\":\"pass\"").count() >= 2).then_some(());
    sweeper.wait_until("two passes", passes).unwrap();
    let log = sweeper.log();
    assert!(log.contains("gateway cannot be read") && log.contains("took longer than 300ms"), "{log}");
    assert_eq!(sweeper.stop(Signal::TERM).unwrap().code(), Some(0));
}
