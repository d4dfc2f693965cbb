//! The library behind the `pushring` command; the demo and the tests call it too.
//!
//! * [`publish::publish`] moves staged files into the folder that Envoy watches, without losing a push.
//! * [`members`] turns Consul's registrations into the members of the ring, for the templates.
//! * [`register`] puts Pushgateways into Consul, and takes them out.
//!
//! Every error prints as: what is wrong, what was found, what is allowed, what to do. [`BadInput`] marks
//! those that the caller has to mend; the command turns it into exit code 2.

use std::fmt;

pub mod batch;
pub mod conflicts;
pub mod consul;
pub mod delete;
pub mod drain;
pub mod dynamic_sharding_yml;
pub mod envoy_admin;
pub mod expire;
pub mod exposition;
pub mod fleet;
pub mod gateway;
pub mod groups;
pub mod guard;
mod http;
pub mod members;
pub mod output;
pub mod owner;
pub mod plan;
pub mod publish;
pub mod register;
pub mod ring_file;
pub mod select;
pub mod survey;
pub mod sweep;
pub mod verdict;
pub mod watch;

/// An error in what the caller gave: a file, a flag, a setting. Anything else that fails (Consul, Envoy, the
/// disk) may pass by itself.
#[derive(Debug)]
pub struct BadInput(pub String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// The state of the fleet in which acting could lose something; nothing was done. Exit code 2, as [`BadInput`].
#[derive(Debug)]
pub struct NotSafe(pub String);

impl fmt::Display for NotSafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not safe to run: {}", self.0)
    }
}

impl std::error::Error for NotSafe {}
