//! The results that are exit codes.

use std::fmt;

/// Result of a command that did its work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ExitStatus {
    /// Exit code 0.
    Done,
    /// Exit code 1: something was found that needs attention.
    Found,
}

/// Wrong usage or an invalid configuration: exit code 2.
#[derive(Debug)]
pub(crate) struct BadInput(pub(crate) String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}
