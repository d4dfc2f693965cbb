//! The library behind the `pushring` command; the demo and the tests call it too.
//!
//! * [`fleet::members`] decides which registrations are members of the ring, [`fleet::render`] renders Envoy's files.
//! * [`command::publish`] moves these files into the folder that Envoy watches, without losing a push.
//!
//! An error message names the field, the value, the accepted values and the remedy. [`error::BadInput`] marks errors in
//! the caller's input; the command turns it into exit code 2.

// Only `output` prints, because it escapes text of others.
#![deny(clippy::print_stdout, clippy::print_stderr)]
// Tests read their own files.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

mod cleanup;
pub mod command;
mod consul;
mod discover;
mod duration;
pub mod error;
mod etcd;
mod file;
pub mod fleet;
mod gateway;
mod http;
mod kubernetes;
mod lock;
mod log;
mod memory;
mod metrics_server;
mod number;
mod output;
mod parse;
mod reason;
mod text;
mod transfer;
