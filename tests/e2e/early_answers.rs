//! curl gets the answer to a rejected request with a body of any length, over each version of HTTP. Some versions of curl
//! lose an answer over HTTP/2 that arrives while they send the body.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode};

/// curl sends `Expect: 100-continue` with the largest of them over HTTP/1.1.
const LENGTHS: [usize; 3] = [4, 60_000, 8 << 20];

/// Sends a file with curl and returns status and text.
#[track_caller]
fn curl(method: &str, server: SocketAddr, path: &str, file: &Path, args: &[&str]) -> (u16, String) {
    let mut curl = Command::new("curl");
    curl.args([
        "-sS",
        "--globoff",
        "--path-as-is",
        "--max-time",
        "120",
        "-w",
        "\n%{http_code}",
        "-X",
        method,
    ]);
    curl.arg("--data-binary").arg(format!("@{}", file.display())).args(args);
    let output = curl.arg(format!("http://{server}{path}")).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{method} {path} {args:?} {}: {error}", file.display());
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

#[test]
fn curl_gets_every_answer() {
    let dir = tempfile::tempdir().unwrap();
    let files = LENGTHS.map(|length| {
        let file = dir.path().join(length.to_string());
        fs::write(&file, "#".repeat(length)).unwrap();
        file
    });
    let versions: [&[&str]; 3] =
        [&["--http2-prior-knowledge"], &["--http1.1"], &["--http1.1", "-H", "expect:"]];
    for mode in Mode::ALL {
        let mut fleet = EnvoyFixture::start(mode, 1);
        fleet.gateways[0].process.kill();
        let redirects = mode == Mode::Redirect;
        let cases = [
            ("PUT", "/metrics", 404),
            ("PUT", "/metrics/job/a%ff", 400),
            ("POST", "/metrics/job/a/instance/", 400),
            ("PUT", "/metrics//job/a", 307),
            ("GET", "/metrics/job/a", if redirects { 200 } else { 405 }),
            ("PUT", "/metrics/job/a", if redirects { 307 } else { 503 }),
        ];
        for (method, path, status) in cases {
            let expected = fleet.envoy.client().unwrap().send(method, path, &[], "").unwrap();
            assert_eq!(expected.status, status, "{mode} {method} {path}");
            for args in versions {
                for file in &files {
                    let answer = curl(method, fleet.envoy.push, path, file, args);
                    assert_eq!(answer, (status, expected.text()), "{mode} {method} {path} {args:?}");
                }
            }
        }
    }
}

/// docs/differences.md: the exception. Envoy answers in the middle of the body, and clients that keep the answer have it.
#[test]
fn a_body_over_the_limit_gets_413_over_http2() {
    let limit = ("max_request_bytes: 16777216", "max_request_bytes: 100000");
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::edited(mode, 1, &[limit]);
        let client = Client::http2(fleet.envoy.push).unwrap();
        let answer = client.put("/metrics/job/a", "#".repeat(150_000)).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (413, "Payload Too Large"), "{mode}");
    }
}
