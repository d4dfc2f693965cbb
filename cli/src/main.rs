//! The `pushring` command.

use std::process::ExitCode;

use git_version::git_version;

/// The commit that the command was built from, with `-dirty` if tracked files differed. Outside a repository, `make dist`
/// passes it.
const COMMIT: &str = match option_env!("PUSHRING_COMMIT") {
    Some(commit) => commit,
    None => git_version!(args = ["--always", "--dirty", "--exclude=*", "--abbrev=12"], fallback = "unknown"),
};

fn main() -> ExitCode {
    pushring::command::run(COMMIT)
}
