//! The errors that the command turns into exit code 2, and the other exit codes.

use std::fmt;

/// An error in the caller's input: a file, a flag, a setting. Other errors (Consul, Envoy, the disk) may be
/// temporary.
#[derive(Debug)]
pub struct BadInput(pub String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// A state of the fleet in which the command could lose data; nothing was done. Exit code 2, as [`BadInput`].
#[derive(Debug)]
pub struct NotSafe(pub String);

impl fmt::Display for NotSafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not safe to run: {}", self.0)
    }
}

impl std::error::Error for NotSafe {}

/// Exit status of a command that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Nothing is left to do: exit code 0.
    Done,
    /// Something was found, kept or failed; the output names it: exit code 1.
    Found,
}

impl ExitStatus {
    pub(crate) fn found(found: bool) -> Self {
        if found { Self::Found } else { Self::Done }
    }
}
