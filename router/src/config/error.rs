//! The reason why a configuration is rejected, in words for the operator who wrote it.

use std::fmt;

use pushring_ring::BuildError;

/// A rejected configuration. The filter logs the `Display` text and the command prints it.
///
/// ```
/// let error = pushring_router::Config::parse(br#"{"members": ["a:0"]}"#).unwrap_err();
/// assert_eq!(error.field, "members[0].address");
/// assert_eq!(error.found.as_deref(), Some("\"a:0\""));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Path of the field, such as `placement.points` or `members[2].name`; `configuration` for the whole document.
    pub field: String,
    /// The value in the configuration; `None` if a required field is missing.
    pub found: Option<String>,
    /// The values that are allowed.
    pub expected: String,
}

impl ConfigError {
    pub(crate) fn new(
        field: impl fmt::Display,
        found: impl fmt::Display,
        expected: impl fmt::Display,
    ) -> Self {
        let (field, found, expected) = (field.to_string(), found.to_string(), expected.to_string());
        Self { field, found: Some(found), expected }
    }

    pub(crate) fn missing(field: impl fmt::Display, expected: &str) -> Self {
        Self { field: field.to_string(), found: None, expected: expected.to_owned() }
    }

    /// Moves the error of a part to its place in the whole: `name` becomes `members[0].name`.
    pub(crate) fn within(self, location: impl fmt::Display) -> Self {
        Self { field: format!("{location}.{}", self.field), ..self }
    }
}

impl From<BuildError> for ConfigError {
    fn from(error: BuildError) -> Self {
        let [field, found, expected] = error.parts();
        Self { field, found: Some(found), expected }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "{}: found {found}, allowed {}", self.field, self.expected),
            None => write!(f, "{}: missing required field (expected {})", self.field, self.expected),
        }
    }
}

impl std::error::Error for ConfigError {}
