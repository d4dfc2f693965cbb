//! The library behind the `pushring` command; the demo and the tests call it too.
//!
//! * [`fleet::members`] decides which registrations are members of the ring, [`fleet::render`] renders Envoy's files.
//! * [`command::publish`] moves them into the folder that Envoy watches, without losing a push.
//!
//! Every error prints as: what is wrong, what was found, what is allowed, what to do. [`error::BadInput`] marks
//! those that the caller has to mend; the command turns it into exit code 2.

mod cleanup;
pub mod command;
pub mod consul;
pub mod error;
pub mod fleet;
mod gateway;
mod http;
mod output;
