//! The safety check of `sweep` with Envoys that require TLS, a certificate and a password.

use std::fs;

use pushring_harness::{Layout, Mode, command};

use crate::certificates::replace;
use crate::front::{Front, edit};

#[test]
fn the_command_reads_the_ring_of_an_envoy_with_tls_and_a_password() {
    let users = |layout: &Layout| {
        edit(
            layout,
            "push-users.yaml",
            "none:{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "sweeper:{SHA}4JlqN8E9RMOwYHSTnUP6N1m9MsE=",
        );
    };
    let front = Front::with(Mode::Cluster, &["tls", "mtls", "basic-auth"], users);
    let client = front.client(&front.clients, "spiffe://example.org/sweeper");
    let authorization = front.file("sweeper-authorization");
    replace(&authorization, "Basic c3dlZXBlcjpmaXJzdA==\n"); // sweeper:first
    let envoy = format!("https://{}", front.envoy.push);
    let (config, ca) =
        (front.file("../live/ring.yaml").display().to_string(), front.ca().display().to_string());
    let authorization = authorization.display().to_string();
    let all = [
        ["--envoy-ca-file", &ca],
        ["--envoy-cert", &client[1]],
        ["--envoy-key", &client[3]],
        ["--envoy-authorization-file", &authorization],
    ];
    let sweep = |flags: &[[&str; 2]]| {
        let flags: Vec<&str> = flags.concat();
        let args = ["sweep", "--config", &config, "--settle=0s", "--envoy", &envoy];
        command::pushring(args.iter().chain(&flags)).unwrap()
    };
    let output = sweep(&all);
    assert_eq!(output.code, 0, "{}", output.stderr);
    for (flags, message) in
        [(&all[1..], "certificate"), (&[all[0], all[3]][..], "did not report its ring"), (&all[..3], "401")]
    {
        let output = sweep(flags);
        assert_eq!(output.code, 2, "{}", output.stderr);
        assert!(output.stderr.contains(message), "{}", output.stderr);
    }
    fs::remove_file(&authorization).unwrap();
    assert!(sweep(&all).stderr.contains("sweeper-authorization"));
}
