//! The `pushring` command, run as a user runs it.

use std::env;
use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::tools;

/// Time limits of single steps that no busy machine exceeds; tests of a limit set its flag.
const LIMITS: [&str; 4] = [
    "PUSHRING_MAX_DECISION_AGE",
    "PUSHRING_SLOW_API",
    "PUSHRING_MAX_DELETE_TIME",
    "PUSHRING_MAX_ANSWER_TIME",
];

/// The result of one run.
#[derive(Debug)]
pub struct CommandOutput {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Returns the command without the caller's variables that change what it does, and with time limits that do not depend
/// on the speed of the machine.
///
/// # Errors
/// If the command was not built.
pub fn command() -> Result<Command> {
    Ok(prepare(Command::new(tools::pushring()?)))
}

/// Prepares a command that runs `pushring`, as [`command`] does.
#[must_use]
pub fn prepare(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CONSUL_") || text.starts_with("PUSHRING_") {
            command.env_remove(&name);
        }
    }
    command.envs(LIMITS.map(|name| (name, "60s")));
    command
}

/// Runs `pushring` with these arguments and without a terminal.
///
/// # Errors
/// If the command was not built, or a signal ended it.
pub fn pushring<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<CommandOutput> {
    let output = command()?.args(args).stdin(Stdio::null()).output()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code().with_context(|| format!("ended by a signal: {stderr}"))?;
    Ok(CommandOutput { code, stdout, stderr })
}

impl CommandOutput {
    /// Parses standard output as JSON.
    ///
    /// # Errors
    /// If it is not JSON; with standard error.
    pub fn json(&self) -> Result<Value> {
        ensure!(!self.stdout.is_empty(), "exit code {}, nothing printed: {}", self.code, self.stderr);
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {}", self.stdout))
    }
}
