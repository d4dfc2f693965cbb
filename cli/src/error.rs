//! The errors that the command turns into exit code 2, and the other exit codes.

use std::fmt;

/// An error in what the caller gave: a file, a flag, a setting. Anything else that fails (Consul, Envoy, the
/// disk) may pass by itself.
#[derive(Debug)]
pub struct BadInput(pub String);

impl BadInput {
    pub(crate) fn from_error(error: anyhow::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

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

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Nothing is left to do: exit code 0.
    Done,
    /// Something was found, kept or failed, and the output says what: exit code 1.
    Found,
}

impl ExitStatus {
    pub(crate) fn found(found: bool) -> Self {
        if found { Self::Found } else { Self::Done }
    }
}
