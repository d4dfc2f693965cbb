//! `pushring owner` judges request targets as Envoy does: a table of odd ones and a random set, sent as raw bytes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use pushring_harness::envoy_fixture::EnvoyFixture;
use pushring_harness::{Mode, command};
use serde_json::Value;

const TABLE: &[&str] = &[
    "/metrics/job/x",
    "/metrics/job/x?q=1",
    "/metrics/job/x?",
    "/metrics/job/x??/a",
    "/metrics/job/a+b",
    "/metrics/job/a{b",
    "/metrics/job/a|b",
    "/metrics/job/a\\b",
    "/metrics/job/a^b",
    "/metrics/job/a`b",
    "/metrics/job/a\"b",
    "/metrics/job/a<b>",
    "/metrics/job/a;b",
    "/metrics/job/a,b",
    "/metrics/job/a@b",
    "/metrics/job/a:b",
    "/metrics/job/~a",
    "/metrics/job/x/a/b",
    "/metrics/job/x/a",
    "/metrics/job/x/a/",
    "/metrics/job/x/",
    "/metrics/job/x//",
    "/metrics/job//a/b",
    "/metrics/job/x//a",
    "/metrics/job/x/../y",
    "/metrics/job/x/./a/b",
    "/metrics/job/..",
    "/./metrics/job/x",
    "//metrics/job/x",
    "///metrics/job/x",
    "/metrics//job/x",
    "//h/metrics/job/x",
    "/metrics/job/%",
    "/metrics/job/%z",
    "/metrics/job/%zz",
    "/metrics/job/%00",
    "/metrics/job/%0a",
    "/metrics/job/%20",
    "/metrics/job/%23",
    "/metrics/job/%2F",
    "/metrics/job/%2f%2f",
    "/metrics/job/%2e%2e",
    "/metrics/job/%e9",
    "/metrics/job/%C3%A9",
    "/%6detrics/job/x",
    "/metrics%2fjob/x",
    "/metrics/%6aob/x",
    "/metrics/job@base64/eA",
    "/metrics/job@base64/",
    "/metrics/job@base64/*",
    "/metrics/job@base64/_w",
    "/metrics/job/x/instance/",
    "/metrics/job/x/instance@base64/=",
    "/metrics/job/x/a@base64/eA==",
    "/metrics/job/x/__a/b",
    "/metrics/job/x/a-b/c",
    "/metrics/job/x/job/y",
    "/metrics/job/",
    "/metrics/job",
    "/metrics",
    "/",
    "/api/v1/metrics",
    "/p/metrics/job/x",
    "/METRICS/job/x",
    "/metrics/Job/x",
    "/metrics/job/x#f",
    "/metrics/job/#",
    "/metrics/job/x?a#b",
    "/metrics/job/a b",
    "/metrics/job/a\tb",
    "/metrics/job/é",
    "/metrics/job/x?é",
    "/metrics/job/x?a b",
    " /metrics/job/x",
    "\t/metrics/job/x ",
    "/metrics/job/a\u{1}",
    "/metrics/job/a\u{7f}",
    "/metrics/job/\u{202e}",
    "",
    " ",
    "*",
    "*/x",
    "?",
    "?a",
    "#",
    "h",
    "h:80",
    ":80",
    "metrics/job/x",
    "./metrics/job/x",
    "../metrics/job/x",
    "http://h/metrics/job/x",
    "HtTp://H/metrics/job/x",
    "http://h:80/metrics/job/x",
    "http://h:0/metrics/job/x",
    "http://h:65535/metrics/job/x",
    "http://h:65536/metrics/job/x",
    "http://h:/metrics/job/x",
    "http://h:x/metrics/job/x",
    "http://h:80:80/metrics/job/x",
    "http://:80/metrics/job/x",
    "http://u:p@h/metrics/job/x",
    "http://u@h/metrics/job/x",
    "http://@h/metrics/job/x",
    "http://u@@h/metrics/job/x",
    "http://u@v@h/metrics/job/x",
    "http://u@/metrics/job/x",
    "http://[::1]/metrics/job/x",
    "http://[::1]:9/metrics/job/x",
    "http://[::1]x/metrics/job/x",
    "http://[::1/metrics/job/x",
    "http://[]/metrics/job/x",
    "http://[1.2.3.4]/metrics/job/x",
    "http://[::ffff:1.2.3.4]/metrics/job/x",
    "http://[fe80::1%lo]/metrics/job/x",
    "http://[fe80::1%lo]:80/metrics/job/x",
    "http://[fe80::1%25lo]/metrics/job/x",
    "http://[fe80::1%nosuch]/metrics/job/x",
    "http://[fe80::1%1]/metrics/job/x",
    "http://[fe80::1%25]/metrics/job/x",
    "http://[fe80::1%]/metrics/job/x",
    "http://[fe80::1%4294967295]/metrics/job/x",
    "http://[fe80::1%4294967296]/metrics/job/x",
    "http://[fe80::1%-1]/metrics/job/x",
    "http://[fe80::1%+1]/metrics/job/x",
    "http://[fe80::1%0x1]/metrics/job/x",
    "http://[fe80::1%%1]/metrics/job/x",
    "http://[fe80::1%lo%lo]/metrics/job/x",
    "http://[fe80::1%lo/metrics/job/x",
    "http://[fe80%lo::1]/metrics/job/x",
    "http://[%lo]/metrics/job/x",
    "http://[::1%lo]/metrics/job/x",
    "http://[::1%1]/metrics/job/x",
    "http://[ff02::1%lo]/metrics/job/x",
    "http://[2001:db8::1%lo]/metrics/job/x",
    "http://[::ffff:1.2.3.4%1]/metrics/job/x",
    "http://[1.2.3.4%1]/metrics/job/x",
    "http://1.2.3.4:1/metrics/job/x",
    "http://.../metrics/job/x",
    "http://-h/metrics/job/x",
    "http://h_h/metrics/job/x",
    "http://h%20h/metrics/job/x",
    "http://h h/metrics/job/x",
    "http://é/metrics/job/x",
    "http://h,h/metrics/job/x",
    "http://*/metrics/job/x",
    "http://h\\metrics/job/x",
    "http://h//metrics/job/x",
    "http://h/metrics//job/x",
    "http://h/metrics/job/x?q=1",
    "http://h/metrics/job/x#f",
    "http://h/metrics/job/é",
    "http://h",
    "http://h/",
    "http://h?x",
    "http://h#x",
    "http://",
    "http:///metrics/job/x",
    "http:/metrics/job/x",
    "http:metrics/job/x",
    "https://h/metrics/job/x",
    "HTTPS://u:p@h:443/metrics/job/x?q",
    "https://[fe80::1%lo]/metrics/job/x",
    "https://h",
    "https://h_h/metrics/job/x",
    "https:///metrics/job/x",
    "https:/metrics/job/x",
    "https://h/#",
    "https://h#",
    "https://h/\u{1}",
    "httpss://h/metrics/job/x",
    "ftp://h/metrics/job/x",
    "ws://h/metrics/job/x",
    "://h/metrics/job/x",
    "1http://h/metrics/job/x",
    "a+b://h/metrics/job/x",
    "mailto:a@b",
];

/// Number of random targets.
const RANDOM: usize = 150;

/// Pieces of random targets, with bytes that no text has.
fn random_target(random: &mut fastrand::Rng) -> Vec<u8> {
    const STARTS: [&[u8]; 12] = [
        b"",
        b"",
        b"",
        b"http://",
        b"HTTP://h",
        b"http://u:p@h:1",
        b"https://h",
        b"//",
        b" ",
        b"http://[::1]",
        b"*",
        b"http://h:",
    ];
    const PIECES: [&[u8]; 24] = [
        b"/metrics/job/",
        b"/metrics/job/",
        b"/metrics/job@base64/",
        b"/metrics/",
        b"/",
        b"//",
        b"/..",
        b"/.",
        b"a",
        b"job",
        b"%2F",
        b"%zz",
        b"%C3%A9",
        b"%ff",
        b"?",
        b"#",
        b" ",
        b"\xc3\xa9",
        b"\xff",
        b"\x01",
        b"@",
        b":",
        b"=",
        b"/instance/",
    ];
    let mut target = random.choice(STARTS).unwrap_or_default().to_vec();
    target.extend_from_slice(PIECES[random.usize(..4)]);
    for _ in 0..random.usize(1..5) {
        // Plain pieces are as frequent as all others, so that half of the targets are pushes.
        let piece = if random.bool() { b"abc" } else { PIECES[random.usize(..PIECES.len())] };
        target.extend_from_slice(piece);
    }
    target
}

#[test]
fn owner_judges_request_targets_as_envoy_does() {
    let fleet = EnvoyFixture::start(Mode::Cluster, 3);
    let mut targets: Vec<Vec<u8>> = TABLE.iter().map(|target| target.as_bytes().to_vec()).collect();
    targets.extend(
        [61_000, 61_441, 100_000]
            .map(|length| [b"/metrics/job/".as_slice(), &vec![b'x'; length - 13]].concat()),
    );
    let mut random = fastrand::Rng::with_seed(4);
    targets.extend((0..RANDOM).map(|_| random_target(&mut random)));

    let config = fleet.layout.live().join("ring.yaml");
    let flags = ["owner", "--config", config.to_str().unwrap(), "--output", "json", "--"].map(OsStr::new);
    let output =
        command::pushring(flags.into_iter().chain(targets.iter().map(|target| OsStr::from_bytes(target))))
            .unwrap();
    let answers = output.json().unwrap();
    let mut classes = [0; 6];
    for (target, answer) in targets.iter().zip(answers.as_array().unwrap()) {
        let text = String::from_utf8_lossy(&target[..target.len().min(80)]).into_owned();
        let verdict = answer["verdict"].as_str().unwrap();
        let (mut status, location, _) = send(&fleet, "PUT", target);
        // Other verdicts are those of the clean path.
        let clean = location.as_ref().filter(|_| verdict != "unclean");
        let target = clean.unwrap_or(target);
        if clean.is_some() {
            status = send(&fleet, "PUT", target).0;
        }
        let expected = match verdict {
            "push" => 2,
            "unclean" => 3,
            "malformed" | "poison" | "bad-request" | "no-push" => 4,
            other => panic!("{text:?}: {other}"),
        };
        classes[usize::from(status / 100)] += 1;
        assert_eq!(status / 100, expected, "{text:?}: {verdict}, Envoy: {status}");
        if verdict == "bad-request" {
            assert_eq!(answer["status"], status, "{text:?}");
        }
        assert_eq!(status == 404, verdict == "no-push", "{text:?}: {verdict}, Envoy: {status}");
        if ["push", "malformed", "poison"].contains(&verdict) {
            let (status, _, body) = send(&fleet, "GET", target);
            let lookup: Value = serde_json::from_str(&body)
                .unwrap_or_else(|error| panic!("{text:?}: {status} {error}: {body}"));
            assert_eq!(lookup["owner"], answer["owner"], "{text:?}");
        } else if verdict != "unclean" {
            assert_eq!(answer["owner"], Value::Null, "{text:?}");
        }
    }
    assert!(classes[2] > 60 && classes[3] > 10 && classes[4] > 100, "{classes:?}");
}

/// Sends a request and returns status, `Location` and body. Closes without waiting for Envoy, which keeps a bad connection for a second.
fn send(fleet: &EnvoyFixture, method: &str, target: &[u8]) -> (u16, Option<Vec<u8>>, String) {
    let mut stream = TcpStream::connect(fleet.envoy.push).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let rest = b" HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nContent-Length: 4\r\nConnection: close\r\n\r\nx 1\n";
    // Envoy may answer and close before it has read all.
    let _ = stream.write_all(&[method.as_bytes(), b" ", target, rest].concat());
    let mut answer = BufReader::new(stream);
    let (mut line, mut status, mut length, mut location) = (String::new(), 0, 0, None);
    while answer.read_line(&mut line).unwrap_or_default() > 2 {
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap();
        } else if let Some(rest) = line.strip_prefix("content-length: ") {
            length = rest.trim().parse().unwrap();
        } else if let Some(rest) = line.strip_prefix("location: ") {
            location = Some(rest.trim_end().as_bytes().to_vec());
        }
        line.clear();
    }
    let mut body = vec![0; length];
    answer.read_exact(&mut body).unwrap();
    (status, location, String::from_utf8_lossy(&body).into_owned())
}
