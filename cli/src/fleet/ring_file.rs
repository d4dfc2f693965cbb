//! The ring file: Envoy's ECDS resource with the filter's configuration inside.

use std::path::Path;

use anyhow::Context;
use pushring_router::{Config, Mode, Router};
use serde_json::Value;

use crate::error::BadInput;
use crate::file;
use crate::parse;
use crate::text;

/// The ring (ECDS), in every mode.
pub const RING_FILE: &str = "ring.yaml";

/// Where the filter's JSON is inside `ring.yaml` (RFC 6901).
const JSON_AT: &str = "/resources/0/typed_config/config/configuration/value";
/// The same in one for the native module.
const NATIVE_JSON_AT: &str = "/resources/0/typed_config/filter_config/value";

/// A ring file whose configuration the filter accepts.
#[derive(Clone, Debug)]
pub struct RingFile {
    /// The file, byte for byte.
    pub text: String,
    /// The configuration inside it.
    pub config: Config,
}

impl RingFile {
    /// Reads a ring file with the filter's own parser.
    ///
    /// # Errors
    /// The file cannot be read. [`BadInput`]: it is not an ECDS file of this filter, or the filter would reject the
    /// configuration in it; then with the filter's message.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = file::read_text(path).with_context(|| text::path(path))?;
        Self::parse(text).map_err(|error| BadInput(format!("{}: {error:#}", text::path(path))).into())
    }

    /// Parses the text of a ring file and builds its ring, which has limits of its own.
    ///
    /// # Errors
    /// [`BadInput`] with the filter's message.
    pub fn build(text: String) -> anyhow::Result<Self> {
        let ring = Self::parse(text).map_err(|error| BadInput(format!("{error:#}")))?;
        Router::new(ring.config.clone()).map_err(|error| BadInput(error.to_string()))?;
        Ok(ring)
    }

    /// Returns the upstreams that this ring names: clusters, or addresses of endpoints; none in redirect mode.
    pub fn upstreams(&self) -> impl Iterator<Item = String> {
        self.config.members.iter().filter_map(|member| match self.config.mode {
            Mode::Cluster => Some(format!("{}{}", self.config.cluster_prefix, member.name)),
            Mode::Endpoint => Some(member.address.to_string()),
            Mode::Redirect => None,
        })
    }

    fn parse(text: String) -> anyhow::Result<Self> {
        let document: Value = parse::yaml(&text).map_err(anyhow::Error::msg)?;
        let config = Config::parse(json(&document)?.as_bytes())?;
        Ok(Self { text, config })
    }
}

/// Finds the filter's JSON in a file that holds either it alone or Envoy's ECDS resource (YAML or JSON) around it. The
/// field `resources` makes the difference.
///
/// # Errors
/// The text is neither. A text that begins with a brace and is not an ECDS file counts as the filter's JSON, however
/// broken: the filter's parser has the better message.
pub fn filter_json(text: &str) -> anyhow::Result<String> {
    match parse::yaml::<Value>(text) {
        Ok(document) if document.get("resources").is_some() => json(&document).map(str::to_owned),
        _ if text.starts_with('\u{feff}') => {
            anyhow::bail!("found a byte order mark, expected JSON; save the file as UTF-8 without it")
        }
        _ if text.trim_start().starts_with('{') => Ok(text.to_owned()),
        Ok(_) => anyhow::bail!(
            "found neither the filter's configuration (a JSON object) nor Envoy's ECDS file around it (resources: …)"
        ),
        Err(error) => anyhow::bail!(error),
    }
}

fn json(document: &Value) -> anyhow::Result<&str> {
    document
        .pointer(JSON_AT)
        .or_else(|| document.pointer(NATIVE_JSON_AT))
        .and_then(Value::as_str)
        .with_context(|| format!("found no text at {JSON_AT}, where the filter's configuration belongs"))
}
