//! The ring file: Envoy's ECDS resource with the filter's configuration inside.

use std::fs;
use std::path::Path;

use anyhow::Context;
use pushring_router::{Config, Mode, Router};
use serde_json::Value;

use crate::error::BadInput;

/// Where the filter's JSON is inside `ring.yaml` (RFC 6901).
const JSON_AT: &str = "/resources/0/typed_config/config/configuration/value";

/// A ring file whose configuration the filter accepts.
#[derive(Clone, Debug)]
pub struct RingFile {
    /// The file, byte for byte.
    pub text: String,
    /// What the filter will make of it.
    pub config: Config,
}

impl RingFile {
    /// Reads a ring file with the filter's own parser.
    ///
    /// # Errors
    /// The file cannot be read, is no ECDS file of this filter, or holds a configuration that the filter
    /// would refuse; then the message is the filter's.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let parse = || -> anyhow::Result<Config> {
            let mut document: Value = serde_saphyr::from_str(&text)?;
            Ok(Config::parse(json(&mut document)?.as_bytes())?)
        };
        match parse() {
            Ok(config) => Ok(Self { text, config }),
            Err(error) => Err(BadInput(format!("{}: {error:#}", path.display())).into()),
        }
    }

    /// Reads a ring file and builds its ring, which has limits of its own.
    ///
    /// # Errors
    /// Those of [`RingFile::read`], and a ring that is too large.
    pub fn read_and_build(path: &Path) -> anyhow::Result<Self> {
        let ring = Self::read(path)?;
        Router::new(ring.config.clone()).map_err(|error| BadInput(format!("{}: {error}", path.display())))?;
        Ok(ring)
    }

    /// The same file with no member at all, if the only fault of the one at `path` is that it has too few
    /// (`min_members`). With it pushes get a 503 that says so; it is for the very first publication, when
    /// there is no older ring to keep and Envoy does not start without a file.
    pub fn read_as_empty(path: &Path) -> Option<Self> {
        let mut document: Value = serde_saphyr::from_str(&fs::read_to_string(path).ok()?).ok()?;
        let text = json(&mut document).ok()?;
        let mut fields: Value = serde_json::from_str(text).ok()?;
        fields.as_object_mut()?.insert("min_members".to_owned(), 0.into());
        Config::parse(fields.to_string().as_bytes()).ok()?;
        fields.as_object_mut()?.insert("members".to_owned(), Value::Array(Vec::new()));
        *text = fields.to_string();
        let config = Config::parse(text.as_bytes()).ok()?;
        Some(Self { text: serde_saphyr::to_string(&document).ok()?, config })
    }

    /// What this ring sends pushes to: names of clusters, or addresses of endpoints; nothing in redirect mode.
    pub fn upstreams(&self) -> impl Iterator<Item = String> {
        self.config.members.iter().filter_map(|member| match self.config.mode {
            Mode::Cluster => Some(format!("{}{}", self.config.cluster_prefix, member.name)),
            Mode::Endpoint => Some(member.address.to_string()),
            Mode::Redirect => None,
        })
    }
}

/// The filter's JSON in the text of a file that holds either it alone or Envoy's ECDS resource (YAML or JSON) around
/// it; which of the two is told by `resources`.
///
/// # Errors
/// It is neither. What begins with a brace and is no ECDS file counts as the filter's JSON, whatever is wrong with it:
/// the filter's parser knows better what to say.
pub fn filter_json(text: &str) -> anyhow::Result<String> {
    match serde_saphyr::from_str::<Value>(text) {
        Ok(mut document) if document.get("resources").is_some() => json(&mut document).cloned(),
        _ if text.trim_start().starts_with('{') => Ok(text.to_owned()),
        Ok(_) => anyhow::bail!(
            "found neither the filter's configuration (a JSON object) nor Envoy's ECDS file with it (resources: …)"
        ),
        Err(error) => Err(error.into()),
    }
}

fn json(document: &mut Value) -> anyhow::Result<&mut String> {
    match document.pointer_mut(JSON_AT) {
        Some(Value::String(json)) => Ok(json),
        _ => anyhow::bail!("found no text at {JSON_AT}, where the filter's configuration belongs"),
    }
}
