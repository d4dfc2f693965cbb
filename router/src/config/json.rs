//! Strict reading of JSON: every field is known, occurs once, and has a value in its range.
//!
//! The checks are written by hand on top of `serde_json`, because an error must name the field, the value and the
//! allowed values. Code derived by serde reports "data did not match any variant of untagged enum" for a misspelt field
//! of a member, and makes the module 20 KB larger (226,426 instead of 206,814 bytes by `make wasm`, before the SDK).

use std::fmt;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use smallvec::SmallVec;

use super::error::ConfigError;

/// A JSON value. Objects keep every entry, so that a repeated field can be rejected.
#[derive(Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// A whole number of at least 0.
    Number(u64),
    /// Any other number; no field accepts one.
    OtherNumber(Number),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        serde_json::from_slice(json).map_err(|error| {
            ConfigError::new(Location::Root, format!("no valid JSON: {error}"), "a JSON object")
        })
    }
}

/// Shows the value as the operator wrote it, without the contents of lists and objects.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::OtherNumber(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::List(_) => f.write_str("a list"),
            Self::Object(_) => f.write_str("an object"),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::OtherNumber(value.into()))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::OtherNumber))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Json::Object(object))
    }
}

/// An object of a configuration. Only an error needs its text.
#[derive(Clone, Copy)]
pub(crate) enum Location {
    Root,
    Placement,
    Member(usize),
}

impl Location {
    /// Returns the full name of a field, for errors.
    pub(crate) fn path(self, name: &str) -> String {
        if matches!(self, Self::Root) { name.to_owned() } else { format!("{self}.{name}") }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("configuration"),
            Self::Placement => f.write_str("placement"),
            Self::Member(index) => write!(f, "members[{index}]"),
        }
    }
}

/// The fields of one object. Take each known field, then call [`Fields::finish`].
pub(crate) struct Fields {
    location: Location,
    entries: Vec<(String, Json)>,
    known: SmallVec<[&'static str; 4]>,
}

impl Fields {
    pub(crate) fn of(location: Location, json: Json) -> Result<Self, ConfigError> {
        match json {
            Json::Object(entries) => Ok(Self { location, entries, known: SmallVec::new() }),
            other => Err(ConfigError::new(location, other, "an object")),
        }
    }

    /// Takes the value of a field. A second value stays in the list, where [`Fields::finish`] rejects it.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Json> {
        self.known.push(name);
        let index = self.entries.iter().position(|(entry, _)| entry == name)?;
        Some(self.entries.remove(index).1)
    }

    /// Returns whether the field is there and was not taken.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(entry, _)| entry == name)
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, ConfigError> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Text(value)) => Ok(Some(value)),
            Some(other) => Err(ConfigError::new(self.location.path(name), other, "a string")),
        }
    }

    pub(crate) fn text_or(&mut self, name: &'static str, default: &str) -> Result<String, ConfigError> {
        Ok(self.text(name)?.unwrap_or_else(|| default.to_owned()))
    }

    pub(crate) fn bool_or(&mut self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        match self.take(name) {
            None => Ok(default),
            Some(Json::Bool(value)) => Ok(value),
            Some(other) => Err(ConfigError::new(self.location.path(name), other, "true or false")),
        }
    }

    /// Takes a whole number in the range `allowed`.
    pub(crate) fn number_or(
        &mut self,
        name: &'static str,
        default: u32,
        allowed: RangeInclusive<u32>,
    ) -> Result<u32, ConfigError> {
        let found = match self.take(name) {
            None => return Ok(default),
            Some(found) => found,
        };
        match found {
            Json::Number(value) => u32::try_from(value).ok().filter(|value| allowed.contains(value)),
            _ => None,
        }
        .ok_or_else(|| {
            let allowed = format!("a whole number, {} to {}", allowed.start(), allowed.end());
            ConfigError::new(self.location.path(name), found, allowed)
        })
    }

    /// Takes one of a few words; the first is the default.
    pub(crate) fn one_of<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<T, ConfigError> {
        let found = self.take(name);
        let chosen = match &found {
            None => words.first(),
            Some(Json::Text(text)) => words.iter().find(|(word, _)| word == text),
            Some(_) => None,
        };
        chosen.map(|&(_, value)| value).ok_or_else(|| {
            let allowed: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            ConfigError::new(self.location.path(name), found.unwrap_or(Json::Null), allowed.join(" or "))
        })
    }

    /// Rejects the fields that are left: unknown and repeated ones.
    pub(crate) fn finish(self) -> Result<(), ConfigError> {
        let Some((name, _)) = self.entries.first() else { return Ok(()) };
        if self.known.contains(&name.as_str()) {
            return Err(ConfigError::new(self.location.path(name), "the field twice", "each field once"));
        }
        let allowed = format!("only {}", self.known.join(", "));
        Err(ConfigError::new(self.location, format!("unknown field {name:?}"), allowed))
    }
}
