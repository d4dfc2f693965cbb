//! The `metric-index` command.

mod api;
#[allow(dead_code, reason = "`serve` opens it")]
mod catalogue;
mod cli;
mod command;
#[allow(dead_code, unused_imports, reason = "the parts that read these fields follow")]
mod config;
mod error;
mod forward;
mod gateway;
mod log;
mod output;
mod own_metrics;
mod page;
mod pipeline;
mod puts;
mod server;
#[allow(dead_code, reason = "the pushring command uses all of it")]
#[path = "../../cli/src/text.rs"]
mod text;

use std::process::ExitCode;

use git_version::git_version;

/// The commit that the command was built from, with `-dirty` if tracked files differed. Outside a repository, `make dist`
/// passes it.
const COMMIT: &str = match option_env!("PUSHRING_COMMIT") {
    Some(commit) => commit,
    None => git_version!(args = ["--always", "--dirty", "--exclude=*", "--abbrev=12"], fallback = "unknown"),
};

fn main() -> ExitCode {
    cli::run(COMMIT)
}
