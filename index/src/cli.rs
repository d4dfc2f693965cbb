//! The command line: parses the arguments, runs the subcommand, turns its result into an exit code.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command::{check, conflicts, owners, rebuild, search, serve, top};
use crate::error::{BadInput, ExitStatus};
use crate::output;

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
    Search(search::SearchArgs),
    Top(top::TopArgs),
    New(search::NewArgs),
    Gone(search::GoneArgs),
    Owners(owners::OwnersArgs),
    Conflicts(conflicts::ConflictsArgs),
    Rebuild(rebuild::RebuildArgs),
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
        Command::Search(args) => args.run(),
        Command::Top(args) => args.run(),
        Command::New(args) => args.run(),
        Command::Gone(args) => args.run(),
        Command::Owners(args) => args.run(),
        Command::Conflicts(args) => args.run(),
        Command::Rebuild(args) => args.run(),
    };
    match result {
        Ok(ExitStatus::Done) => ExitCode::SUCCESS,
        Ok(ExitStatus::Found) => ExitCode::FAILURE,
        Err(error) => {
            output::error(&format!("{error:#}"));
            if error.is::<BadInput>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
