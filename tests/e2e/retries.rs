//! A push that was on its way to a gateway when this ended: stored on the ring's next member if it cannot be the reason,
//! and never sent to a second gateway if it can.

use std::io::Write;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use pushring_harness::http::{self, Client};
use pushring_harness::{EnvoyFixture, Mode, poll_until};

const PUSH: &str = "/metrics/job/a";
const DELIMITED: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
/// A length prefix of 2^40: a Pushgateway allocates as much and ends.
const KILLER: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
/// Memory of each gateway in these tests.
const MEMORY: u64 = 256 << 20;

type Headers = &'static [(&'static str, &'static str)];

/// Sends pushes whose owner has stopped, kills the owner when it has received them, and returns the answers.
fn killed_in_flight(fleet: &mut EnvoyFixture, pushes: Vec<(&'static str, Headers, Vec<u8>)>) -> Vec<u16> {
    let owner = fleet.owner(PUSH);
    fleet.gateways[owner].process.halt().unwrap();
    let count = pushes.len() as u64;
    let before = fleet.requests()[owner];
    let sent: Vec<_> = pushes
        .into_iter()
        .map(|(method, headers, body)| {
            let client = fleet.envoy.client().unwrap();
            thread::spawn(move || client.send(method, PUSH, headers, body).unwrap().status)
        })
        .collect();
    // Each push has left Envoy for the owner, which Envoy counts when it has a connection.
    poll_until("the owner to get the pushes", || (fleet.requests()[owner] == before + count).then_some(()))
        .unwrap();
    fleet.gateways[owner].process.kill();
    sent.into_iter().map(|push| push.join().unwrap()).collect()
}

/// Text of at most 1 MiB is stored on the next member; the rest gets 503, because it may be what ended the gateway.
#[test]
fn a_text_push_survives_the_gateway_that_was_receiving_it() {
    let text = || b"x 1\n".to_vec();
    let mut large = text();
    large.resize(1 << 20, b'\n');
    let mut too_large = large.clone();
    too_large.push(b'\n');
    let plain: Headers = &[];
    let typed: Headers = &[("content-type", "text/plain; version=0.0.4")];
    let protobuf: Headers = &[("content-type", "application/vnd.google.protobuf")];
    let encoded: Headers = &[("content-encoding", "identity")];
    let pushes = || {
        vec![
            ("PUT", plain, text()),
            ("POST", typed, text()),
            ("PUT", plain, large.clone()),
            ("PUT", plain, too_large.clone()),
            ("PUT", protobuf, text()),
            ("PUT", encoded, text()),
        ]
    };
    for (mode, expected) in [(Mode::Endpoint, [200, 200, 200, 503, 503, 503]), (Mode::Cluster, [503; 6])] {
        let mut fleet = EnvoyFixture::start(mode, 3);
        assert_eq!(killed_in_flight(&mut fleet, pushes()), expected, "{mode}");
        let next = fleet.clockwise(PUSH)[1];
        let metrics = fleet.gateways[next].metrics().unwrap();
        assert_eq!(metrics.contains("x{instance=\"\",job=\"a\"} 1"), mode == Mode::Endpoint, "{metrics}");
    }
}

/// A request as a client writes it, with one more header each. The gateway takes the body as a delimited protobuf or
/// decompresses it where the second field is true.
fn killing() -> Vec<(String, bool, Vec<u8>)> {
    let mut cases = Vec::new();
    let mut case = |kills: bool, headers: &str, body: &[u8]| {
        let mut request =
            format!("PUT {PUSH} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n").into_bytes();
        request.extend(body);
        cases.push((headers.to_owned(), kills, request));
    };
    let chunked = [b"6\r\n", KILLER, b"\r\n0\r\n\r\n"].concat();
    case(true, &format!("content-type: {DELIMITED}\r\ncontent-length: 6\r\n"), KILLER);
    case(true, &format!("Content-Type: {}\r\ncontent-length: 6\r\n", odd_case(DELIMITED)), KILLER);
    case(
        true,
        "content-type:\tapplication/vnd.google.protobuf ;encoding=\"delimited\";charset=utf-8; \
         proto=\"io.prometheus.client.MetricFamily\"\r\ncontent-length: 6\r\n",
        KILLER,
    );
    case(
        false,
        &format!("content-type: text/plain\r\ncontent-type: {DELIMITED}\r\ncontent-length: 6\r\n"),
        KILLER,
    );
    case(
        true,
        &format!("content-type: {DELIMITED}\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n"),
        KILLER,
    );
    case(true, &format!("content-type: {DELIMITED}\r\ntransfer-encoding: chunked\r\n"), &chunked);
    case(
        false,
        &format!("content-type: {DELIMITED}\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n"),
        &chunked,
    );
    case(false, &format!("content-type: {DELIMITED}\r\ncontent-length: 5\r\n"), KILLER);
    case(false, &format!("content-type: {DELIMITED}\r\ncontent-length: 6, 6\r\n"), KILLER);
    case(false, &format!("content-type: {DELIMITED}\r\ncontent-length: 0x6\r\n"), KILLER);
    case(false, &format!("content-type: text/plain;\r\n {DELIMITED}\r\ncontent-length: 6\r\n"), KILLER);
    let bomb = gzip(b"x".repeat(16 << 20).as_slice(), 12);
    let length = bomb.len();
    for (kills, encoding) in [
        (true, "Content-Encoding: GZip\r\ncontent-type: text/plain\r\n"),
        (true, "content-encoding: gzip\r\ncontent-encoding: identity\r\n"),
        (false, "content-encoding: identity\r\ncontent-encoding: gzip\r\n"),
    ] {
        case(kills, &format!("{encoding}content-length: {length}\r\n"), &bomb);
    }
    let zipped = gzip(KILLER, 1);
    case(
        true,
        &format!(
            "content-encoding: gzip\r\ncontent-type: {DELIMITED}\r\ncontent-length: {}\r\n",
            zipped.len()
        ),
        &zipped,
    );
    cases
}

/// Returns gzip of `member`, as often as `members` says in one stream, as `cat a.gz a.gz` makes it.
fn gzip(member: &[u8], members: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(member).unwrap();
    encoder.finish().unwrap().repeat(members)
}

fn odd_case(text: &str) -> String {
    let media_type = text.split(';').next().unwrap();
    let odd: String = media_type
        .chars()
        .enumerate()
        .map(|(at, char)| if at % 2 == 0 { char.to_ascii_uppercase() } else { char })
        .collect();
    text.replace(media_type, &odd)
}

fn restart_all(fleet: &mut EnvoyFixture) {
    for index in 0..fleet.gateways.len() {
        fleet.restart_gateway(index, MEMORY);
    }
}

/// Returns which gateways have ended since the last call, and starts them again.
fn ended(fleet: &mut EnvoyFixture) -> Vec<usize> {
    let mut ended = Vec::new();
    for index in 0..fleet.gateways.len() {
        // A gateway that ends closes its connections first, so an answer shows that it runs.
        if fleet.gateways[index].metrics().is_err() {
            fleet.restart_gateway(index, MEMORY);
            ended.push(index);
        }
    }
    ended
}

/// Whatever a client does to its headers: a retry would end the next gateways.
#[test]
fn a_push_that_kills_its_gateway_kills_no_other() {
    let cases = killing();
    for mode in Mode::ROUTED {
        // A slow machine may take longer to read a bomb, and Envoy would close the connection before the gateway ends.
        let patient = ("int_value: 3000", "int_value: 120000");
        let mut fleet = EnvoyFixture::edited(mode, 3, &[patient]);
        restart_all(&mut fleet);
        let owner = fleet.owner(PUSH);
        for (headers, kills, request) in &cases {
            let answer = http::raw(fleet.envoy.push, request).unwrap();
            let answer = String::from_utf8_lossy(&answer);
            let expected = if *kills { vec![owner] } else { vec![] };
            assert_eq!(ended(&mut fleet), expected, "{mode}: {headers}{answer}");
            assert_eq!(answer.starts_with("HTTP/1.1 503 "), *kills, "{mode}: {headers}{answer}");
        }
        // Over HTTP/2 Envoy learns the length of a body only when it ends.
        let client = Client::http2(fleet.envoy.push).unwrap();
        for headers in [
            &[("content-type", DELIMITED)][..],
            &[("content-type", DELIMITED), ("content-type", "text/plain")],
        ] {
            let status = client.send("PUT", PUSH, headers, KILLER).unwrap().status;
            let expected = if status == 503 { vec![owner] } else { vec![] };
            assert_eq!(ended(&mut fleet), expected, "{mode}: {headers:?} {status}");
        }
    }
}
