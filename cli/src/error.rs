//! The errors that the command turns into exit code 2.

use std::fmt;

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
