//! The library behind the `pushring` command; the demo and the tests call it too.
//!
//! * [`publish::publish`] moves staged files into the folder that Envoy watches, without losing a push.
//! * [`members`] turns Consul's registrations into the members of the ring, for the templates.
//!
//! Every error prints as: what is wrong, what was found, what is allowed, what to do. [`error::BadInput`] marks
//! those that the caller has to mend; the command turns it into exit code 2.

mod cleanup;
pub mod command;
mod consul;
pub mod envoy_admin;
pub mod error;
pub mod fleet;
mod gateway;
mod http;
pub mod members;
mod output;
pub mod publish;
pub mod ring_file;
