//! A document with one long list, of which only one item at a time is a tree: the trees of 1,024 clusters take some 8 MB,
//! and a publication compares two such lists.

use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};

use crate::parse;

/// The items of a list as JSON, and the document around it.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// With an empty list.
    around: Value,
    /// The fields, and first elements of lists, that lead to the list.
    path: &'static [&'static str],
    pub(super) items: Vec<String>,
}

impl Document {
    /// Parses YAML. The list may be missing.
    pub(super) fn parse(text: &str, path: &'static [&'static str]) -> Result<Self, String> {
        let mut items = Vec::new();
        let around = parse::yaml_seed(text, Reader { path, items: &mut items })?;
        Ok(Self { around, path, items })
    }

    pub(super) fn empty(path: &'static [&'static str]) -> Self {
        Self { around: Value::Null, path, items: Vec::new() }
    }

    /// Returns the document without the items.
    pub(super) fn around(&self) -> &Value {
        &self.around
    }

    /// Sets a field outside the list, if the document has fields.
    pub(super) fn set(&mut self, field: &str, value: Value) {
        if let Some(fields) = self.around.as_object_mut() {
            fields.insert(field.to_owned(), value);
        }
    }

    pub(super) fn to_text(&self) -> anyhow::Result<String> {
        Ok(serde_saphyr::to_string(&Writer { node: &self.around, path: self.path, items: &self.items })?)
    }
}

/// Reads a part of a document; `path` leads from there to the list.
struct Reader<'a> {
    path: &'static [&'static str],
    items: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut found: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = found.next_key::<String>()? {
            let value = match self.path.split_first() {
                Some((first, path)) if *first == key => {
                    found.next_value_seed(Reader { path, items: &mut *self.items })?
                }
                _ => found.next_value()?,
            };
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut found: A) -> Result<Value, A::Error> {
        let mut others = Vec::new();
        match self.path.split_first() {
            None => {
                while let Some(item) = found.next_element::<Value>()? {
                    self.items.push(serde_json::to_string(&item).map_err(A::Error::custom)?);
                }
            }
            Some((first, path)) => {
                if *first == "0" {
                    others.extend(found.next_element_seed(Reader { path, items: &mut *self.items })?);
                }
                while let Some(other) = found.next_element()? {
                    others.push(other);
                }
            }
        }
        Ok(Value::Array(others))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// Writes what [`Reader`] read.
struct Writer<'a> {
    node: &'a Value,
    path: &'static [&'static str],
    items: &'a [String],
}

impl Serialize for Writer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.node, self.path.split_first()) {
            (Value::Object(fields), Some((first, path))) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, node) in fields {
                    if key == first {
                        map.serialize_entry(key, &Writer { node, path, items: self.items })?;
                    } else {
                        map.serialize_entry(key, node)?;
                    }
                }
                map.end()
            }
            (Value::Array(nodes), Some((first, path))) if *first == "0" => {
                let mut seq = serializer.serialize_seq(Some(nodes.len()))?;
                for (index, node) in nodes.iter().enumerate() {
                    if index == 0 {
                        seq.serialize_element(&Writer { node, path, items: self.items })?;
                    } else {
                        seq.serialize_element(node)?;
                    }
                }
                seq.end()
            }
            (Value::Array(_), None) => {
                let mut seq = serializer.serialize_seq(Some(self.items.len()))?;
                for item in self.items {
                    seq.serialize_element(&parse::json::<Value>(item).map_err(S::Error::custom)?)?;
                }
                seq.end()
            }
            (other, _) => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_read() {
        let path: &[&str] = &["a", "0", "list"];
        let text = "a:\n- before: 1\n  list: [{x: [1], y: 'true'}, 2]\n- list: [3]\nb: ~\n";
        let document = Document::parse(text, path).unwrap();
        assert_eq!(document.items, [r#"{"x":[1],"y":"true"}"#, "2"]);
        let whole = |text: &str| parse::yaml::<Value>(text).unwrap();
        assert_eq!(document.to_text().unwrap(), serde_saphyr::to_string(&whole(text)).unwrap());
        // Without the list.
        for text in ["b: 1\n", "a: []\n", "a: ~\n", "a:\n- list: ~\n", "- 1\n"] {
            let document = Document::parse(text, path).unwrap();
            assert!(document.items.is_empty(), "{text}");
            assert_eq!(whole(&document.to_text().unwrap()), whole(text));
        }
    }
}
