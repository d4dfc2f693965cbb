//! curl, as a client of another make.

use std::process::Command;

/// The result of one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The status of the answer.
    Status(u16),
    /// No answer, because TLS failed.
    Tls,
}

/// Sends one request on a new connection; the path goes out unchanged.
pub(crate) fn curl(method: &str, url: &str, args: &[&str]) -> (Outcome, String) {
    let mut command = Command::new("curl");
    command.args([
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
    if matches!(method, "PUT" | "POST") {
        command.args(["--data-binary", "x 1\n"]);
    }
    let output = command.args(args).arg(url).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    match output.status.code() {
        Some(0) => (Outcome::Status(status.parse().unwrap()), body.to_owned()),
        // 35: handshake; 52, 55, 56: the server ended the connection, in TLS 1.3 for want of a certificate; 60: untrusted.
        Some(35 | 52 | 55 | 56 | 60) => (Outcome::Tls, error),
        code => panic!("curl {method} {url}: exit code {code:?}: {error}"),
    }
}
