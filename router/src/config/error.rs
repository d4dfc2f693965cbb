//! Why a configuration is refused, in words for the operator who wrote it.

use std::fmt;

/// A refused configuration. `Display` names the field, what was found and what is allowed; the filter logs
/// it, the command prints it: the same words in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// `field: found <found>, allowed <allowed>`.
    pub(crate) fn new(field: impl fmt::Display, found: impl fmt::Display, allowed: &str) -> Self {
        Self(format!("{field}: found {found}, allowed {allowed}"))
    }

    /// A message that already has the three parts.
    pub(crate) fn message(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}
