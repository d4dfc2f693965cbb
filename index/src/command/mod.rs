//! The subcommands: each parses its arguments, does its work and prints the result.

pub(crate) mod check;
mod reload;
pub(crate) mod serve;
