//! The command line: parses the arguments, runs the subcommand, turns its result into an exit code.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command::{check, serve};
use crate::error::{BadInput, ExitStatus};

/// Keeps a catalogue of every series that passes the ingress
#[derive(Parser)]
#[command(
    name = "metric-index",
    version,
    after_help = "\
Exit codes:
  0  done
  1  something was found or failed; the output names it
  2  wrong usage or an invalid configuration: nothing was done"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Check(check::CheckArgs),
}

/// Runs the command; `--version` shows the commit.
pub(crate) fn run(commit: &str) -> ExitCode {
    let version: &str = format!("{} ({commit})", env!("CARGO_PKG_VERSION")).leak();
    let mut command = Cli::command().version(version);
    if !io::stdout().is_terminal() {
        command = command.term_width(80);
    }
    let cli = match command.try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let result = match cli.command {
        Command::Serve(args) => args.run(),
        Command::Check(args) => args.run(),
    };
    match result {
        Ok(ExitStatus::Done) => ExitCode::SUCCESS,
        Ok(ExitStatus::Found) => ExitCode::FAILURE,
        Err(error) => {
            warn(&format!("{error:#}"));
            if error.is::<BadInput>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Writes an error with the text of others escaped.
fn warn(text: &str) {
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let escape = |letter: char| {
                if letter.is_control() { letter.escape_debug().to_string() } else { letter.to_string() }
            };
            line.chars().map(escape).collect()
        })
        .collect();
    eprintln!("error: {}", lines.join("\n"));
}
