//! The `pushring` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pushring::command::run()
}
