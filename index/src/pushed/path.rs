//! The group of a push, from its path.

use std::fmt;

use pushring_router::{ConfigError, Router};

/// Reads the paths of pushes with the parser of the filter.
#[derive(Debug)]
pub struct Paths(Router);

/// The labels of a group: `job`, and others sorted by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    labels: Vec<(String, String)>,
}

/// The reason why a path has no group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathError {
    /// It is not the path of a push.
    NotPush,
    /// A pushgateway rejects it.
    Rejected,
    /// A value is not UTF-8 or a name is reserved: the pushgateway would not be able to show the group.
    Poison,
}

impl Paths {
    /// Prepares to read paths. `path_prefix` is the `--web.route-prefix` of the pushgateways, empty or with a slash in front;
    /// `utf8_names` says whether they run with `--push.enable-utf8-names`.
    ///
    /// # Errors
    /// If the prefix is not valid.
    pub fn new(path_prefix: &str, utf8_names: bool) -> Result<Self, ConfigError> {
        let config = serde_json::json!({"members": [], "min_members": 0, "path_prefix": path_prefix, "utf8_names": utf8_names});
        Router::parse(config.to_string().as_bytes()).map(Self)
    }

    /// Returns the group of a path, with or without a query.
    ///
    /// # Errors
    /// If the path is not that of a push, or a pushgateway would not store it.
    pub fn group(&self, path: &[u8]) -> Result<Group, PathError> {
        let parsed = self.0.group(&pushring_router::clean_path(path)).ok_or(PathError::NotPush)?;
        let labels = parsed.labels.ok_or(PathError::Rejected)?;
        // An empty `instance` alone does no harm: a pushgateway adds one to each group.
        let text = |bytes| String::from_utf8(bytes).map_err(|_| PathError::Poison);
        let labels: Result<Vec<_>, _> =
            labels.into_iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect();
        let mut labels = labels?;
        if labels.iter().any(|(name, _)| name.starts_with("__")) {
            return Err(PathError::Poison);
        }
        labels.sort_by_key(|(name, _)| name != "job");
        Ok(Group { labels })
    }
}

impl Group {
    /// Returns names and values; `job` is the first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the value of `job`.
    #[must_use]
    pub fn job(&self) -> &str {
        self.iter().find(|(name, _)| *name == "job").map_or("", |(_, value)| value)
    }
}

/// Writes `job="backup",instance="a"`, with escaped values, as in [`crate::Source::job`].
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(f, "{}{name}=\"{value}\"", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPush => "the path is not that of a push: expected /metrics/job/<job>, then pairs of name and value",
            Self::Rejected => "a pushgateway rejects this path: an empty job, an invalid name, or broken base64",
            Self::Poison => "a label of the path is not UTF-8, or its name is reserved: a pushgateway cannot show this group",
        })
    }
}

impl std::error::Error for PathError {}
