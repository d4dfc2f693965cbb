//! The `pushring` command, run as a user runs it.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::tools;

/// What one run left.
#[derive(Debug)]
pub struct CommandOutput {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs `pushring` with these arguments, without a terminal and without the variables that change what it does.
///
/// # Errors
/// When it was not built yet, or a signal ended it.
pub fn pushring<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<CommandOutput> {
    let mut command = Command::new(tools::pushring()?);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CONSUL_") || text.starts_with("PUSHRING_") {
            command.env_remove(&name);
        }
    }
    let output = command.args(args).stdin(Stdio::null()).output()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code().with_context(|| format!("ended by a signal: {stderr}"))?;
    Ok(CommandOutput { code, stdout, stderr })
}

impl CommandOutput {
    /// Standard output as JSON.
    ///
    /// # Errors
    /// When it is something else; with standard error.
    pub fn json(&self) -> Result<Value> {
        ensure!(!self.stdout.is_empty(), "exit code {}, nothing printed: {}", self.code, self.stderr);
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {}", self.stdout))
    }
}
