//! The subcommands: arguments in, one call of the library, its result printed.

mod members;
mod publish;
mod register;

pub(crate) use members::Members;
pub(crate) use publish::Publish;
pub(crate) use register::{Deregister, Register};
