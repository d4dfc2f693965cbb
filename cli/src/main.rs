//! The `pushring` command: parses the arguments, calls the library, turns its result into an exit code.

mod command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pushring::{BadInput, NotSafe};

use command::{
    Check, Delete, Deregister, Drain, Expire, Groups, Members, Outcome, Owner, Plan, Publish, Register, Sweep,
};

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

fn main() -> ExitCode {
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
