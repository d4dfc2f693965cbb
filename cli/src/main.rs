//! The `pushring` command: parses the arguments, calls the library, turns its result into an exit code.
//!
//! Exit codes: 0 done, 1 failed (Consul, Envoy or the disk), 2 bad usage or bad input.

mod command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pushring::BadInput;

use command::{Deregister, Members, Publish, Register};

/// Spreads pushes over several Pushgateways, so that each group always reaches the same one.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done, 1 failed (Consul, Envoy, disk), 2 bad usage or bad input."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Publish(Publish),
    Register(Register),
    Deregister(Deregister),
    Members(Members),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Publish(args) => args.run(),
        Command::Register(args) => args.run(),
        Command::Deregister(args) => args.run(),
        Command::Members(args) => args.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pushring: {error:#}");
            if error.is::<BadInput>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
