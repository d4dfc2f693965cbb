//! The subcommands: each parses its arguments, does its work and prints the result.

pub(crate) mod ask;
pub(crate) mod check;
pub(crate) mod conflicts;
pub(crate) mod owners;
pub(crate) mod rebuild;
mod reload;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod top;
