//! The subcommands: arguments in, one call of the library, its result printed.

mod check;
pub(crate) mod delete;
mod drain;
pub(crate) mod expire;
pub(crate) mod groups;
mod members;
mod owner;
mod plan;
mod publish;
mod register;
pub(crate) mod sweep;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{BadInput, NotSafe};

use check::Check;
use delete::Delete;
use drain::Drain;
use expire::Expire;
use groups::Groups;
use members::Members;
use owner::Owner;
use plan::Plan;
use publish::Publish;
use register::{Deregister, Register};
use sweep::Sweep;

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is left to do: exit code 0.
    Done,
    /// Something was found, kept or failed, and the output says what: exit code 1.
    Found,
}

impl Outcome {
    pub(crate) fn found(found: bool) -> Self {
        if found { Self::Found } else { Self::Done }
    }
}

/// Spreads pushes over several Pushgateways, so that each group always reaches the same one.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Exit codes:
  0  nothing is left to do
  1  something was found, kept or failed; the output says what (check: the configuration is bad; --dry-run: it would act)
  2  wrong usage, a bad configuration, or not safe to run: nothing was done"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(Check),
    Owner(Owner),
    Plan(Plan),
    Groups(Groups),
    Delete(Delete),
    Sweep(Sweep),
    Drain(Drain),
    Expire(Expire),
    Register(Register),
    Deregister(Deregister),
    Publish(Publish),
    Members(Members),
}

/// Parses the arguments, runs the command and turns its result into an exit code.
#[must_use]
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(args) => args.run(),
        Command::Owner(args) => args.run(),
        Command::Plan(args) => args.run(),
        Command::Groups(args) => args.run(),
        Command::Delete(args) => args.run(),
        Command::Sweep(args) => args.run(),
        Command::Drain(args) => args.run(),
        Command::Expire(args) => args.run(),
        Command::Register(args) => args.run().map(|()| Outcome::Done),
        Command::Deregister(args) => args.run().map(|()| Outcome::Done),
        Command::Publish(args) => args.run().map(|()| Outcome::Done),
        Command::Members(args) => args.run().map(|()| Outcome::Done),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("pushring: {error:#}");
            if error.is::<BadInput>() || error.is::<NotSafe>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
