//! The table of limits in docs/differences.md: each setting is in the shipped files, and a smaller value has the documented
//! effect.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use pushring_harness::{Envoy, Layout, Mode, Ports, Pushgateway, envoy_files};

use crate::table::{self, Limit};
use crate::wire;

/// A limit: its first setting, the value to try, and the result beyond it.
type Probe = (&'static str, &'static str, fn(&Envoy) -> String);

const PROBES: [Probe; 8] = [
    ("request_timeout", "0.2s", |envoy| {
        result(envoy.push, "PUT /metrics/job/a HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx")
    }),
    ("request_headers_timeout", "0.2s", |envoy| {
        result(envoy.push, "PUT /metrics/job/a HTTP/1.1\r\nhost: a\r\n")
    }),
    ("timeout", "0.2s", |envoy| push(envoy, "", 4)),
    ("max_request_bytes", "100", |envoy| push(envoy, "", 101)),
    ("max_request_headers_kb", "1", |envoy| push(envoy, &format!("x-a: {}\r\n", "a".repeat(2048)), 4)),
    ("max_headers_count", "3", |envoy| push(envoy, "x-a: a\r\nx-b: b\r\n", 4)),
    ("idle_timeout", "0.2s", |envoy| result(envoy.push, "")),
    ("max_active_downstream_connections", "1", |envoy| {
        let _held = TcpStream::connect(envoy.push).unwrap();
        envoy.wait_stat("http.push.downstream_cx_active", |active| active == 1).unwrap();
        result(envoy.push, "")
    }),
];

#[test]
fn the_table_of_limits_is_complete_and_true() {
    let limits = &table::limits();
    let documented: Vec<&str> = limits.iter().map(|limit| key(&limit.settings[0])).collect();
    assert_eq!(documented, PROBES.map(|(setting, ..)| setting));
    thread::scope(|scope| {
        for mode in Mode::ROUTED {
            scope.spawn(move || holds(mode, limits));
        }
    });
}

fn holds(mode: Mode, limits: &[Limit]) {
    for (limit, (setting, value, probe)) in limits.iter().zip(PROBES) {
        let (envoy, _servers) = start(mode, &limit.settings, value);
        assert_eq!(probe(&envoy), limit.over, "{mode}: {setting}: {value}");
    }
}

/// Starts Envoy with another value for some settings. Its gateway is silent for the test of `timeout`.
fn start(mode: Mode, settings: &[String], value: &str) -> (Envoy, impl Sized) {
    let dir = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
    let address = if key(&settings[0]) == "timeout" { silent.local_addr().unwrap() } else { gateway.address };
    let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
    let mut text = fs::read_to_string(layout.bootstrap()).unwrap();
    for setting in settings {
        // With the space, `timeout` is not found in `idle_timeout`.
        let shipped = format!(" {setting}");
        assert!(text.contains(&shipped), "{mode}: no{shipped}");
        text = text.replace(&shipped, &format!(" {}: {value}", key(setting)));
    }
    fs::write(layout.bootstrap(), text).unwrap();
    layout.write(&envoy_files::config(mode, &[address.into()]).unwrap()).unwrap();
    (Envoy::start(&layout, 1).unwrap(), (silent, gateway, dir))
}

fn key(setting: &str) -> &str {
    setting.split(':').next().unwrap()
}

fn push(envoy: &Envoy, headers: &str, length: usize) -> String {
    let body = format!("x 1\n{}", "#".repeat(length - 4));
    result(
        envoy.push,
        &format!("PUT /metrics/job/a HTTP/1.1\r\nhost: a\r\n{headers}content-length: {length}\r\n\r\n{body}"),
    )
}

/// Sends a request, or a part of it, and returns the status of the answer, or `closed` without one.
fn result(server: SocketAddr, request: &str) -> String {
    let answers = wire::exchange(server, request.as_bytes());
    answers.first().map_or_else(|| "closed".to_owned(), |answer| answer.status.to_string())
}
