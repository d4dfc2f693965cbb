//! Whatever the path of an option names, the command ends and names the option; secrets stay secret.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::json;
use tempfile::{TempDir, tempdir};

const SECRET: &str = "s3cret";

fn fixture() -> TempDir {
    let dir = tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("c.json", &json!({"members": ["10.0.0.1:9091"], "status_path": "/-/pushring"}).to_string());
    write("settings.yaml", "filter: {}\n");
    write("registrations.json", r#"{"registrations": [{"address": "10.0.0.1", "port": 9091}]}"#);
    write("empty", "");
    write("blank", " \t\r\n\n");
    write("lines", "s3cret\ns3cret\n");
    write("nul", "s3cret\0");
    fs::write(dir.path().join("latin"), b"s3cret\xe9").unwrap();
    fs::create_dir(dir.path().join("directory")).unwrap();
    dir
}

fn pushring(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushring"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CONSUL_") || name.to_string_lossy().starts_with("PUSHRING_") {
            command.env_remove(&name);
        }
    }
    command.current_dir(dir).args(args).envs(variables.iter().copied()).stdin(Stdio::null());
    command.output().unwrap()
}

/// Returns standard error, which names neither the secret nor a cause in the network.
fn refused(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> String {
    let output = pushring(dir, args, variables);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?} {variables:?}: {stderr}");
    assert!(
        !stderr.contains(SECRET) && !String::from_utf8_lossy(&output.stdout).contains(SECRET),
        "{stderr}"
    );
    stderr
}

const PUBLISH: [&str; 5] = ["publish", "--delay", "0s", "--live", "live"];
const GROUPS: [&str; 3] = ["groups", "--config", "c.json"];
const SWEEP: [&str; 5] = ["sweep", "--config", "c.json", "--settle", "0s"];

#[test]
fn no_option_reads_without_a_limit() {
    let dir = fixture();
    let run = |args: &[&[&str]]| refused(dir.path(), &args.concat(), &[]);
    let consul = ["--consul", "127.0.0.1:1"];
    for path in ["/dev/zero", "directory", "nowhere"] {
        for (option, error) in [
            ("", run(&[&["check", path]])),
            ("--config", run(&[&["owner", "--config", path, "/metrics/job/a"]])),
            ("--config", run(&[&["groups", "--config", path], &consul])),
            ("--from", run(&[&["plan", "--from", path, "--to", "c.json"]])),
            ("--to", run(&[&["plan", "--from", "c.json", "--to", path]])),
            ("--groups", run(&[&["plan", "--from", "c.json", "--to", "c.json", "--groups", path]])),
            ("--registrations", run(&[&PUBLISH, &["--settings", "settings.yaml", "--registrations", path]])),
            ("--settings", run(&[&PUBLISH, &["--registrations", "registrations.json", "--settings", path]])),
            ("--gateway-ca-file", run(&[&GROUPS, &["--gateway-ca-file", path]])),
            ("--gateway-cert", run(&[&GROUPS, &["--gateway-cert", path, "--gateway-key", path]])),
            ("--gateway-token-file", run(&[&GROUPS, &["--gateway-token-file", path]])),
            (
                "--gateway-password-file",
                run(&[&GROUPS, &["--gateway-user", "a", "--gateway-password-file", path]]),
            ),
            ("--consul-token-file", run(&[&GROUPS, &consul, &["--consul-token-file", path]])),
            ("--consul-ca-file", run(&[&GROUPS, &consul, &["--consul-ca-file", path]])),
            ("--consul-cert", run(&[&GROUPS, &consul, &["--consul-cert", path, "--consul-key", path]])),
            ("--envoy-ca-file", run(&[&SWEEP, &["--envoy-ca-file", path]])),
            ("--envoy-authorization-file", run(&[&SWEEP, &["--envoy-authorization-file", path]])),
            ("", run(&[&["register", "10.0.0.1:1", "--check-header", &format!("@{path}")]])),
            ("", run(&[&["register", "--from-dynamic-sharding", path]])),
        ] {
            assert!(error.starts_with(&format!("pushring: {option}")), "{option}: {error}");
            assert!(error.contains(path), "{error}");
            let reason =
                ["found more than", "found a line of more than", "found a directory", "check the path"];
            assert!(reason.iter().any(|reason| error.contains(reason)), "{error}");
        }
    }
    assert!(!dir.path().join("live").exists());
}

#[test]
fn odd_secrets_are_refused() {
    let dir = fixture();
    let groups = |args: &[&str], variables: &[(&str, &str)]| {
        refused(dir.path(), &[&GROUPS[..], args].concat(), variables)
    };
    for (file, found) in [
        ("/dev/null", "nothing"),
        ("empty", "nothing"),
        ("blank", "nothing"),
        ("lines", "a line break"),
        ("nul", "a control character"),
        ("latin", "bytes that are not UTF-8"),
    ] {
        for (option, error) in [
            ("--gateway-token-file", groups(&["--gateway-token-file", file], &[])),
            ("--gateway-token-file", groups(&[], &[("PUSHRING_GATEWAY_TOKEN_FILE", file)])),
            (
                "--gateway-password-file",
                groups(&["--gateway-user", "a", "--gateway-password-file", file], &[]),
            ),
            (
                "--consul-token-file",
                groups(&["--consul", "127.0.0.1:1"], &[("CONSUL_HTTP_TOKEN_FILE", file)]),
            ),
            (
                "--envoy-authorization-file",
                refused(dir.path(), &[&SWEEP[..], &["--envoy-authorization-file", file]].concat(), &[]),
            ),
        ] {
            let start = format!("pushring: {option} {file}: ");
            assert!(error.starts_with(&start) && error.contains(&format!("found {found}")), "{error}");
        }
    }
    for (args, variables, start) in [
        (&["--gateway-token", ""][..], &[][..], "--gateway-token (PUSHRING_GATEWAY_TOKEN): found nothing"),
        (
            &[],
            &[("PUSHRING_GATEWAY_TOKEN", "s3cret\ns3cret")],
            "--gateway-token (PUSHRING_GATEWAY_TOKEN): found a line",
        ),
        (&["--gateway-token", "s3cret x"], &[], "--gateway-token (PUSHRING_GATEWAY_TOKEN): found a space"),
        (&["--gateway-password", "s3cret"], &[], "--gateway-password: found a password without a user"),
        (
            &["--gateway-password-file", "registrations.json"],
            &[],
            "--gateway-password: found a password without",
        ),
        (&[], &[("PUSHRING_GATEWAY_PASSWORD", "s3cret")], "--gateway-password: found a password without"),
        (&["--gateway-user", "ops:s3cret"], &[], "--gateway-user: found a colon"),
        (&["--gateway-user", ""], &[], "--gateway-user: found nothing"),
        (
            &["--gateway-user", "a", "--gateway-password", " "],
            &[],
            "--gateway-password (PUSHRING_GATEWAY_PASSWORD): found",
        ),
        (
            &["--consul", "x", "--consul-token", "s3cret\u{e9}"],
            &[],
            "--consul-token (CONSUL_HTTP_TOKEN): found",
        ),
        (&["--gateway-ca-file", "lines"], &[], "--gateway-ca-file lines: found no certificate"),
        (
            &["--gateway-cert", "lines", "--gateway-key", "lines"],
            &[],
            "--gateway-cert lines, --gateway-key lines: found",
        ),
    ] {
        let error = groups(args, variables);
        assert!(error.starts_with(&format!("pushring: {start}")), "{args:?} {variables:?}: {error}");
    }
    let empty = [
        "CONSUL_HTTP_TOKEN",
        "CONSUL_HTTP_TOKEN_FILE",
        "PUSHRING_GATEWAY_TOKEN",
        "PUSHRING_GATEWAY_PASSWORD_FILE",
    ];
    let args = [&GROUPS[..], &["--consul", "127.0.0.1:1"]].concat();
    let output = pushring(dir.path(), &args, &empty.map(|name| (name, "")));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("cannot be reached"), "{stderr}");
}
