//! The subcommands: each parses its arguments, does its work and prints the result.

mod check;
mod copies_table;
mod copy_filter;
mod delete;
mod discover;
mod drain;
mod expire;
mod given;
mod groups;
mod owner;
mod plan;
pub mod publish;
mod register;
mod ring_svg;
mod serve;
mod sweep;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::builder::Str;
use clap::error::ErrorKind;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

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
    // Boxed, because it has the flags of three stores.
    Sweep(Box<sweep::SweepArgs>),
    Drain(drain::DrainArgs),
    Expire(expire::ExpireArgs),
    Serve(serve::ServeArgs),
    Register(Box<register::RegisterArgs>),
    Deregister(register::DeregisterArgs),
    Publish(publish::PublishArgs),
    Discover(discover::DiscoverArgs),
    CopyFilter(copy_filter::CopyFilterArgs),
}

/// Returns the subcommands with their options, for completions and man pages.
#[must_use]
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Parses the arguments, runs the command and turns its result into an exit code. `--version` shows the commit.
pub fn run(commit: &str) -> ExitCode {
    let version: &str = format!("{} ({commit})", env!("CARGO_PKG_VERSION")).leak();
    let mut command = Cli::command().version(version);
    if !io::stdout().is_terminal() {
        command = command.term_width(80);
    }
    command = command.mut_subcommands(|subcommand| subcommand.mut_args(adjusted));
    if let Some(error) = split_secret() {
        output::warn(error);
        return ExitCode::from(2);
    }
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
        Command::Serve(args) => args.run().map(|()| ExitStatus::Done),
        Command::Register(args) => args.run(),
        Command::Deregister(args) => args.run(),
        Command::Publish(args) => args.run().map(|()| ExitStatus::Done),
        Command::Discover(args) => args.run().map(|()| ExitStatus::Done),
        Command::CopyFilter(args) => args.run().map(|()| ExitStatus::Done),
    };
    match result {
        Ok(ExitStatus::Done) => ExitCode::SUCCESS,
        Ok(ExitStatus::Found) => ExitCode::FAILURE,
        Err(error) => {
            output::warn(without(&format!("{error:#}"), &words_after_secrets()));
            if error.is::<BadInput>() || error.is::<NotSafe>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Adjusts what all arguments have in common.
fn adjusted(mut argument: Arg) -> Arg {
    // An empty variable counts as not set, as for the `consul` command.
    if argument.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty()) {
        argument = argument.env(None::<&str>);
    }
    // Otherwise the error about a negative number does not name the option.
    let is_number = |name: &Str| ["TIME", "N", "SHARE"].contains(&name.as_str());
    let is_number = argument.get_value_names().is_some_and(|names| names.iter().any(is_number));
    if is_number { argument.allow_hyphen_values(true) } else { argument }
}

fn parse(command: clap::Command, arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    command.try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches))
}

/// Options whose values no message shows.
const SECRETS: [&str; 4] = ["--consul-token", "--gateway-password", "--gateway-token", "--check-header"];

/// Indices of the arguments right after the value of a secret, up to the next option: a secret with a space that was not
/// quoted becomes several of them.
fn after_secrets(arguments: &[String]) -> Vec<usize> {
    let mut found = Vec::new();
    for (index, argument) in arguments.iter().enumerate() {
        let is_whole = argument.split_once('=').is_some_and(|(option, _)| SECRETS.contains(&option));
        if is_whole || SECRETS.contains(&argument.as_str()) {
            let next = index + if is_whole { 1 } else { 2 };
            let rest = arguments.iter().enumerate().skip(next);
            found.extend(rest.take_while(|(_, argument)| !argument.starts_with('-')).map(|(index, _)| index));
        }
    }
    found
}

fn arguments() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

fn words_after_secrets() -> Vec<String> {
    let arguments = arguments();
    after_secrets(&arguments).into_iter().map(|index| arguments[index].clone()).collect()
}

/// An address or a path is no secret, and the message is about it.
fn may_be_secret(word: &str) -> bool {
    !word.is_empty() && !word.contains([':', '/'])
}

/// Replaces words in a message that may be a part of a secret.
fn without(message: &str, words: &[String]) -> String {
    words.iter().filter(|word| may_be_secret(word)).fold(message.to_owned(), |message, word| {
        let quoted = |quote: &str| format!("{quote}{word}{quote}");
        let message = message.replace(&quoted("\""), "***").replace(&quoted("'"), "***");
        if word.len() > 3 { message.replace(word, "***") } else { message }
    })
}

/// Returns an error if a secret has a space but no quotes, such as `--consul-token Bearer abc`.
fn split_secret() -> Option<String> {
    const SCHEMES: [&str; 5] = ["basic", "bearer", "digest", "negotiate", "token"];
    let arguments = arguments();
    let index = after_secrets(&arguments).into_iter().find(|&index| {
        let before = arguments[index - 1].rsplit_once('=').map_or(&*arguments[index - 1], |(_, value)| value);
        before.ends_with(':') || SCHEMES.contains(&before.to_ascii_lowercase().as_str())
    })?;
    let option = arguments[..index].iter().rev().find(|argument| argument.starts_with("--"))?;
    let option = option.split_once('=').map_or(&**option, |(option, _)| option);
    let expected = match option {
        "--check-header" => "one, 'Name: value' in quotes",
        _ => "the secret alone, without a word such as Bearer",
    };
    Some(format!("{option}: found several words, expected {expected}"))
}

/// Prints a help text or an error of usage. Errors repeat arguments, so these are escaped and parsed again, without
/// passwords.
fn usage(command: clap::Command) -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let given = self::arguments();
    for index in after_secrets(&given).into_iter().filter(|&index| may_be_secret(&given[index])) {
        arguments[index] = "***".into();
    }
    for index in 0..arguments.len() {
        let given = text::bytes(arguments[index].as_bytes());
        // A push path may contain @.
        let shown = if given.starts_with('/') { given } else { without_credentials(&given) };
        arguments[index] = shown.clone().into();
        let before = arguments[..index].last().map(|option| option.to_string_lossy().into_owned());
        // The last one that was changed was the cause.
        if parse(command.clone(), arguments.clone()).is_ok() {
            let before = before.filter(|option| option.starts_with("--"));
            let (option, value) = match shown.split_once('=').filter(|_| shown.starts_with("--")) {
                Some((option, value)) => (option, value),
                None => (before.as_deref().unwrap_or("argument"), &*shown),
            };
            let value = if SECRETS.contains(&option) { "***" } else { value };
            let expected = "expected UTF-8 text without special characters";
            output::warn(format_args!("{option}: found {value}, {expected}"));
            return ExitCode::from(2);
        }
    }
    match parse(command.clone(), arguments) {
        Err(error) if error.kind() == ErrorKind::InvalidUtf8 => {
            let name = not_utf8(&command).unwrap_or_default();
            output::warn(format_args!("{name}: found a variable that is not UTF-8, expected UTF-8 text"));
        }
        Err(error) => {
            let printed = error.print().and_then(|()| io::stdout().flush());
            return match printed {
                Err(fault) if fault.kind() != io::ErrorKind::BrokenPipe => {
                    output::warn(format_args!("standard output: {fault}"));
                    ExitCode::FAILURE
                }
                _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
            };
        }
        Ok(_) => {}
    }
    ExitCode::from(2)
}

/// Returns the name of a variable of an option whose value is not UTF-8.
fn not_utf8(command: &clap::Command) -> Option<String> {
    let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let mut names = arguments.filter_map(Arg::get_env);
    let name = names.find(|name| std::env::var_os(name).is_some_and(|value| value.to_str().is_none()))?;
    Some(name.to_string_lossy().into_owned())
}
