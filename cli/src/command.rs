//! The subcommands: arguments in, one call of the library, its result printed.

mod check;
mod delete;
mod drain;
mod expire;
mod groups;
mod members;
mod owner;
mod plan;
mod publish;
mod register;
mod sweep;

pub(crate) use check::Check;
pub(crate) use delete::Delete;
pub(crate) use drain::Drain;
pub(crate) use expire::Expire;
pub(crate) use groups::Groups;
pub(crate) use members::Members;
pub(crate) use owner::Owner;
pub(crate) use plan::Plan;
pub(crate) use publish::Publish;
pub(crate) use register::{Deregister, Register};
pub(crate) use sweep::Sweep;

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
