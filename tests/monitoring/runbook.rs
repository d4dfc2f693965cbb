//! The commands of docs/runbook.md, executed as printed while the alert of their section fires.

use std::env;
use std::fs;
use std::process::{Command, Stdio};

use pushring_harness::{command, tools};

use crate::blocks::{self, Kind};

const RUNBOOK: &str = "docs/runbook.md";
/// Ends a command that hangs; none takes that long.
const LIMIT_SECONDS: &str = "120";

/// Executes the commands of the section of an alert until one fails. A query must find something.
#[track_caller]
pub(crate) fn run(alert: &str) {
    let all = blocks::read(RUNBOOK).unwrap_or_else(|error| panic!("{error}"));
    let blocks: Vec<_> = all.iter().filter(|block| block.section == alert).collect();
    assert!(!blocks.is_empty(), "{RUNBOOK}: no commands in the section {alert}");
    for block in blocks {
        let at = format!("{RUNBOOK}:{}", block.line);
        match &block.kind {
            Kind::Commands { exit } => {
                let (code, printed) = shell(&block.text);
                println!("{at}: {alert}\n{}{printed}", block.text);
                assert_eq!(code, *exit, "{at}: exit code of\n{}{printed}", block.text);
                let is_query = block.text.contains("promtool query");
                assert!(!is_query || !printed.trim().is_empty(), "{at}: finds nothing:\n{}", block.text);
            }
            Kind::NotExecuted { .. } => {}
            other => panic!("{at}: found {other:?}; expected commands"),
        }
    }
}

fn shell(text: &str) -> (i32, String) {
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(script.path(), format!("set -e -o pipefail\nexec 2>&1\n{text}")).unwrap();
    let mut line = Command::new("timeout");
    line.args(["--kill-after=5", LIMIT_SECONDS, "bash"]).arg(script.path()).stdin(Stdio::null());
    let mut line = command::prepare(line);
    let servers = tools::repository().join("target/tools/bin");
    let path = tools::path().unwrap();
    let folders = [servers].into_iter().chain(env::split_paths(&path));
    line.env("PATH", env::join_paths(folders).unwrap()).current_dir("/etc/pushring");
    let output = line.output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}
