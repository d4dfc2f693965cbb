//! Members from a file: a list in JSON or YAML, or Prometheus' own file_sd format.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::path_watch::PathWatch;
use super::source::{Out, Source};
use crate::error::BadInput;
use crate::fleet::address::GatewayAddress;
use crate::fleet::registration::{Registration, Registrations};
use crate::fleet::source::read;
use crate::parse;
use crate::text;

/// Labels of a group of targets that are ours, and the fields that they set.
const LABELS: [(&str, &str); 3] =
    [("pushring_name", "name"), ("pushring_weight", "weight"), ("pushring_scheme", "scheme")];

/// A file with gateways.
pub(crate) struct File {
    path: PathBuf,
}

impl File {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Source for File {
    fn follow(&mut self, out: &Out) -> anyhow::Result<Infallible> {
        let mut watch = PathWatch::new(&self.path)?;
        let mut last = None;
        loop {
            let found = read(&self.path)?;
            if last.as_ref() != Some(&found) {
                out.send(list(&self.path, &found)?.into())?;
                last = Some(found);
            }
            watch.wait()?;
        }
    }
}

/// # Errors
/// [`BadInput`]: the file is no list. One bad entry is no error: it must not keep the others from the ring.
fn list(path: &Path, found: &str) -> anyhow::Result<Registrations> {
    let bad = |reason: String| BadInput(format!("{}: {reason}", text::path(path)));
    let document: Value = parse::yaml(found).map_err(bad)?;
    let entries = match document {
        Value::Array(list) => list,
        Value::Object(mut fields) => match fields.remove("registrations") {
            Some(Value::Array(list)) => list,
            _ => return Err(bad("found an object, expected a list of gateways".to_owned()).into()),
        },
        _ => {
            return Err(bad(
                "expected a list of gateways, for example [{\"address\": \"10.0.0.1:9091\"}]".to_owned()
            )
            .into());
        }
    };
    let mut all = Registrations::default();
    for (index, entry) in entries.into_iter().enumerate() {
        match entry {
            Value::Object(mut fields) if fields.contains_key("targets") => {
                let labels = fields.remove("labels").unwrap_or_default();
                let targets = fields.remove("targets").unwrap_or_default();
                for target in targets.as_array().into_iter().flatten() {
                    all.push(with_labels(target, &labels).map_err(|error| format!("[{index}]: {error}")));
                }
                if !targets.is_array() {
                    all.push(Err(format!("[{index}].targets: expected a list of host:port")));
                }
            }
            Value::Object(fields) => {
                all.push(registration(fields).map_err(|error| format!("[{index}]: {error}")))
            }
            other => all.push(from_text(&other).map_err(|error| format!("[{index}]: {error}"))),
        }
    }
    Ok(all)
}

/// Reads one target of file_sd.
fn with_labels(target: &Value, labels: &Value) -> Result<Registration, String> {
    let mut fields = Map::from_iter([("address".to_owned(), target.clone())]);
    for (label, field) in LABELS {
        match (labels.get(label), field) {
            (None, _) => {}
            // Labels are always texts.
            (Some(Value::String(weight)), "weight") => {
                let weight: i64 =
                    weight.parse().map_err(|_| format!("{label}: found {weight:?}, expected a number"))?;
                fields.insert(field.to_owned(), weight.into());
            }
            (Some(value), _) => drop(fields.insert(field.to_owned(), value.clone())),
        }
    }
    registration(fields)
}

fn from_text(entry: &Value) -> Result<Registration, String> {
    let address = entry.as_str().ok_or("expected host:port, or an object with the field address")?;
    let address = GatewayAddress::parse(address).map_err(|error| error.to_string())?;
    Ok(Registration::new(address.host(), address.port().into()))
}

/// Reads an entry; its address may have the port.
fn registration(mut fields: Map<String, Value>) -> Result<Registration, String> {
    if !fields.contains_key("port")
        && let Some(address) = fields.remove("address")
    {
        let both = from_text(&address).map_err(|error| format!("address: {error}"))?;
        fields.insert("address".to_owned(), both.address.into());
        fields.insert("port".to_owned(), both.port.into());
    }
    parse::value("", Value::Object(fields)).map_err(|error| text::line(&error).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> (Vec<String>, Vec<String>) {
        let all = super::list(Path::new("f"), text).unwrap();
        let shown = |one: &Registration| format!("{} {}:{} {}", one.name, one.address, one.port, one.weight);
        (all.found.iter().map(shown).collect(), all.unreadable)
    }

    #[test]
    fn reads_every_form() {
        let json = r#"[{"address": "10.0.0.1", "port": 9091, "name": "a", "weight": 2}, {"address": "[::1]:9091"}, "gw:9091"]"#;
        let expected = ["a 10.0.0.1:9091 2", " ::1:9091 1", " gw:9091 1"].map(str::to_owned).to_vec();
        assert_eq!(addresses(json), (expected.clone(), Vec::new()));
        let yaml =
            "- address: 10.0.0.1\n  port: 9091\n  name: a\n  weight: 2\n- address: '[::1]:9091'\n- gw:9091\n";
        assert_eq!(addresses(yaml), (expected, Vec::new()));
        let file_sd = r#"[{"targets": ["10.0.0.1:9091"], "labels": {"pushring_name": "a", "pushring_weight": "2", "env": "x"}}]"#;
        assert_eq!(addresses(file_sd), (vec!["a 10.0.0.1:9091 2".to_owned()], Vec::new()));
        assert_eq!(addresses("[]"), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_bad_entry_does_not_hide_the_others() {
        let (found, unreadable) = addresses(
            r#"[1, {"address": 5}, {"targets": 1}, {"addr": "a:1"}, {"targets": ["b"]}, "gw:9091"]"#,
        );
        assert_eq!(found, [" gw:9091 1"]);
        assert_eq!(unreadable.len(), 5, "{unreadable:?}");
    }

    #[test]
    fn a_file_that_is_no_list_is_an_error() {
        for text in ["", "a: 1", "\"x\"", "[", "1", "{\"registrations\": 1}"] {
            assert!(super::list(Path::new("f"), text).is_err(), "{text:?}");
        }
    }
}
