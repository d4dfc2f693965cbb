//! Text of others never reaches a terminal as it is: escape sequences, line breaks, invisible characters.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Stdio;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use pushring_harness::command::{CommandOutput, command};
use pushring_harness::http::Response;
use pushring_harness::server::{Request, serve};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Must not appear in any output; the line break is part of a forged line.
const NASTY: [&str; 16] = [
    "\u{1b}",
    "\u{7}",
    "\u{8}",
    "\r",
    "\t",
    "\0",
    "\u{7f}",
    "\u{85}",
    "\u{9b}",
    "\u{2028}",
    "\u{202e}",
    "\u{2066}",
    "\u{200b}",
    "\u{feff}",
    "\u{3164}",
    "\u{e0041}",
];
const FORGED: &str = "\nFORGED: all good\n";

fn nasty() -> String {
    format!("n{}{FORGED}", NASTY.concat())
}

/// Answers as a gateway or as Consul, with nasty names, labels and errors.
fn answer(request: &Request) -> anyhow::Result<Response> {
    let nasty = nasty();
    let family = |kind: &str| json!({"time_stamp": "2026-11-21T10:00:00Z", "type": kind, "help": nasty, "metrics": [{"labels": {nasty.clone(): nasty}, "value": "1"}]});
    let time =
        json!({"time_stamp": "2026-11-21T10:00:00Z", "type": "GAUGE", "metrics": [{"value": "1.7e9"}]});
    let group = |label: &str, kind: &str| {
        json!({"labels": {"job": nasty, label: nasty, nasty.clone(): "v"}, "last_push_successful": true, nasty.clone(): family(kind),
            "push_time_seconds": time, "push_failure_time_seconds": time})
    };
    let mut response = match request.path.split('?').next().unwrap_or_default() {
        "/api/v1/status" => {
            Response::ok(json!({"data": {"start_time": request.headers["host"].to_str()?}}).to_string())
        }
        "/api/v1/metrics" => {
            let data = json!([group("a", "GAUGE"), group("b", &nasty), {"labels": {"job": "j"}, nasty.clone(): family("GAUGE")}]);
            Response::ok(json!({"data": data}).to_string())
        }
        "/metrics" => {
            let errors = format!(
                "An error has occurred while serving metrics:\n\n2 error(s) occurred:\n* collected metric \"{nasty}\" \
                 {{ label:{{name:\"job\" value:\"x{}\"}} gauge:{{value:1}}}} is not a {nasty}",
                NASTY[0]
            );
            Response { status: 500, ..Response::ok(errors) }
        }
        _ => Response { status: 500, ..Response::ok(format!("{} no leader", nasty.replace('\n', ""))) },
    };
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now())?;
    response.headers.insert("date", date.parse()?);
    Ok(response)
}

struct Fixture {
    dir: TempDir,
    config: String,
    address: String,
}

impl Fixture {
    /// Two such gateways, a file whose name is nasty, and one whose content is.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let addresses = [(); 2].map(|()| serve(answer).unwrap().to_string());
        let config = dir.path().join("pushring.json");
        fs::write(
            &config,
            json!({"members": addresses, "utf8_names": true, "status_path": "/-/pushring"}).to_string(),
        )
        .unwrap();
        let fixture = Self { config: config.display().to_string(), address: addresses[0].clone(), dir };
        fs::write(fixture.file(), json!({nasty(): 1, "members": []}).to_string()).unwrap();
        let registration =
            json!({"address": nasty(), "port": 1, "status": nasty(), "name": nasty(), "node": nasty()});
        let registrations = json!({"registrations": [registration, {"address": "10.0.0.1", "port": 1}]});
        fs::write(fixture.dir.path().join("registrations.json"), registrations.to_string()).unwrap();
        fs::write(fixture.dir.path().join("settings.yaml"), "filter: {}\n").unwrap();
        fixture
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join(nasty().replace('\0', ""))
    }

    fn run(&self, args: &[&str], output: &str, stdin: &[u8]) -> CommandOutput {
        let mut command = command().unwrap();
        for arg in args {
            match *arg {
                "FILE" => command.arg(self.file()),
                "PATH" => command.arg(std::ffi::OsStr::from_bytes(
                    &[b"/metrics/job/a\xff", nasty().replace('\0', "").as_bytes()].concat(),
                )),
                "NASTY" => command.arg(nasty().replace('\0', "")),
                arg => command.arg(
                    arg.replace("CONFIG", &self.config)
                        .replace("ADDRESS", &self.address)
                        .replace("DIR", self.dir.path().to_str().unwrap()),
                ),
            };
        }
        if !output.is_empty() {
            command.args(["--output", output]);
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that fails at once reads nothing.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let done = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        CommandOutput {
            code: done.status.code().unwrap(),
            stdout: text(done.stdout),
            stderr: text(done.stderr),
        }
    }
}

#[test]
fn no_command_prints_text_of_others_as_it_is() {
    let fixture = Fixture::new();
    let paths =
        [b"/metrics/job/a\xff".as_slice(), nasty().replace('\n', "").as_bytes(), b"\n/metrics/job/b\n"]
            .concat();
    let commands: &[&[&str]] = &[
        &["groups", "--config", "CONFIG"],
        &["groups", "--config", "CONFIG", "--conflicts"],
        &["groups", "--config", "FILE"],
        &["groups", "--config", "CONFIG", "--consul", "http://ADDRESS"],
        &["groups", "--config", "CONFIG", "--consul", "NASTY"],
        &["sweep", "--config", "CONFIG", "--dry-run"],
        &["sweep", "--config", "CONFIG", "--settle", "0s", "--envoy", "http://ADDRESS"],
        &["sweep", "--config", "CONFIG", "--envoy", "NASTY"],
        &["expire", "--config", "CONFIG", "--after", "1h", "--dry-run"],
        &["expire", "--config", "CONFIG", "--after", "NASTY"],
        &["delete", "--config", "CONFIG", "--job", "(?s).*", "--dry-run"],
        &["delete", "--config", "CONFIG", "--job", "NASTY", "--yes"],
        &["drain", "--config", "CONFIG", "--dry-run", "127.0.0.1:1"],
        &["drain", "--config", "CONFIG", "NASTY"],
        &["owner", "--config", "CONFIG", "PATH"],
        &["owner", "--config", "CONFIG"],
        &["owner", "--config", "CONFIG", "--job", "NASTY", "--label", "NASTY"],
        &["owner", "--config", "FILE", "PATH"],
        &["check", "FILE"],
        &["check", "NASTY"],
        &["plan", "--from", "CONFIG", "--to", "CONFIG", "--live"],
        &["plan", "--from", "CONFIG", "--to", "FILE"],
        &["plan", "--from", "CONFIG", "--to", "CONFIG", "--groups", "NASTY"],
        &[
            "publish",
            "--registrations",
            "DIR/registrations.json",
            "--settings",
            "DIR/settings.yaml",
            "--live",
            "DIR/live",
        ],
        &["publish", "--registrations", "FILE", "--settings", "FILE", "--live", "DIR/live"],
        &[
            "publish",
            "--registrations",
            "NASTY",
            "--settings",
            "FILE",
            "--live",
            "DIR/live",
            "--admin",
            "NASTY",
        ],
        &["register", "--consul", "http://ADDRESS", "10.0.0.1:9091"],
        &["register", "--consul", "http://ADDRESS", "NASTY"],
        &["register", "--from-dynamic-sharding", "FILE"],
        &["deregister", "--consul", "http://ADDRESS", "10.0.0.1:9091"],
        &["NASTY"],
        &["owner", "--NASTY", "NASTY"],
    ];
    for args in commands {
        for output in ["table", "json"] {
            let ran = fixture.run(args, if args.len() > 1 { output } else { "" }, &paths);
            for (name, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
                // `owner` separates columns by tabs.
                for nasty in NASTY.into_iter().filter(|nasty| args[0] != "owner" || *nasty != "\t") {
                    assert!(!text.contains(nasty), "{args:?} {output}: {nasty:?} in {name}: {text:?}");
                }
                assert!(
                    !text.lines().any(|line| line.trim().starts_with("FORGED")),
                    "{args:?} {output}: {name}: {text}"
                );
            }
            assert!(!ran.stdout.is_empty() || !ran.stderr.is_empty(), "{args:?} {output}: nothing printed");
            if output == "json" {
                for line in ran.stdout.lines() {
                    serde_json::from_str::<Value>(line)
                        .unwrap_or_else(|error| panic!("{args:?}: {error}: {line}"));
                }
            }
        }
    }
}

/// JSON escapes the same characters and keeps the exact text.
#[test]
fn json_has_the_exact_text() {
    let fixture = Fixture::new();
    let groups = fixture.run(&["groups", "--config", "CONFIG"], "json", b"").json().unwrap();
    let mut labels = groups["groups"].as_array().unwrap().iter().map(|group| &group["labels"]);
    let labels = labels.find(|labels| labels["job"] == nasty()).unwrap_or_else(|| panic!("{groups}"));
    assert_eq!(labels[nasty()], "v");
    let conflicts =
        fixture.run(&["groups", "--config", "CONFIG", "--conflicts"], "json", b"").json().unwrap();
    assert_eq!(conflicts["conflicts"][0]["family"], nasty());
    let line = nasty().replace('\n', "");
    let owner = fixture.run(&["owner", "--config", "CONFIG"], "json", line.as_bytes()).json().unwrap();
    assert_eq!(owner["path"], line);
    let table = fixture.run(&["owner", "--config", "CONFIG"], "table", line.as_bytes()).stdout;
    assert!(table.contains(r"n\u{1b}\u{7}\u{8}\r\t\u{0}\u{7f}"), "{table}");
}
