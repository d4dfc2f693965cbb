//! The subcommands: each parses its arguments, does its work and prints the result.

mod check;
mod copies_table;
mod delete;
mod drain;
mod expire;
mod groups;
mod owner;
mod plan;
pub mod publish;
mod register;
mod sweep;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::{BadInput, ExitStatus, NotSafe};
use crate::http::without_credentials;
use crate::output;
use crate::text;

/// Distributes pushes over several Pushgateways, so that each group always reaches the same gateway.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Exit codes:
  0  nothing is left to do
  1  something was found, kept or failed; the output lists it (check: the configuration is bad; --dry-run: there is work)
  2  wrong usage, a bad configuration, or not safe to run: nothing was done

TIME is one or more numbers with units: 500ms, 15s, 24h, 7d, \"1h 30m\""
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Owner(owner::OwnerArgs),
    Plan(plan::PlanArgs),
    Groups(groups::GroupsArgs),
    Delete(delete::DeleteArgs),
    Sweep(sweep::SweepArgs),
    Drain(drain::DrainArgs),
    Expire(expire::ExpireArgs),
    Register(register::RegisterArgs),
    Deregister(register::DeregisterArgs),
    Publish(publish::PublishArgs),
}

/// Parses the arguments, runs the command and turns its result into an exit code.
pub fn run() -> ExitCode {
    let mut command = Cli::command();
    if !io::stdout().is_terminal() {
        command = command.term_width(80);
    }
    command = command.mut_subcommands(without_empty_variables);
    let Ok(cli) = parse(command.clone(), std::env::args_os()) else { return usage(command) };
    let result = match cli.command {
        Command::Check(args) => args.run(),
        Command::Owner(args) => args.run(),
        Command::Plan(args) => args.run(),
        Command::Groups(args) => args.run(),
        Command::Delete(args) => args.run(),
        Command::Sweep(args) => args.run(),
        Command::Drain(args) => args.run(),
        Command::Expire(args) => args.run(),
        Command::Register(args) => args.run().map(|()| ExitStatus::Done),
        Command::Deregister(args) => args.run(),
        Command::Publish(args) => args.run().map(|()| ExitStatus::Done),
    };
    match result {
        Ok(ExitStatus::Done) => ExitCode::SUCCESS,
        Ok(ExitStatus::Found) => ExitCode::FAILURE,
        Err(error) => {
            output::warn(format_args!("{error:#}"));
            if error.is::<BadInput>() || error.is::<NotSafe>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// An empty variable counts as not set, as for the `consul` command.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| {
        let is_empty = argument.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        if is_empty { argument.env(None::<&str>) } else { argument }
    })
}

fn parse(command: clap::Command, arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    command.try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches))
}

/// Prints a help text or an error of usage. Errors repeat arguments, so these are escaped and parsed again, without
/// passwords.
fn usage(command: clap::Command) -> ExitCode {
    let arguments = std::env::args_os().map(|argument| {
        let argument = text::bytes(argument.as_bytes());
        // A push path may contain @.
        let is_path = argument.starts_with('/');
        if is_path { argument.into() } else { without_credentials(&argument).into() }
    });
    if let Err(error) = parse(command, arguments) {
        error.exit();
    }
    output::warn("an argument is not valid, but would be with its special characters escaped");
    ExitCode::from(2)
}
