//! The answer of `/api/v1/metrics`, group by group: all groups of a gateway at once need several times the memory of the text.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::api::StoredGroup;

/// Deserializes the whole answer, and passes each group to a function.
pub(super) struct EachGroup<F, M> {
    take: F,
    metrics: PhantomData<M>,
}

impl<F: FnMut(StoredGroup<M>), M> EachGroup<F, M> {
    pub(super) fn new(take: F) -> Self {
        Self { take, metrics: PhantomData }
    }
}

impl<'de, F: FnMut(StoredGroup<M>), M: Deserialize<'de>> DeserializeSeed<'de> for EachGroup<F, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(StoredGroup<M>), M: Deserialize<'de>> Visitor<'de> for EachGroup<F, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        const LIST: &str = "data";
        let mut found = false;
        while let Some(name) = map.next_key::<String>()? {
            if name != LIST {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if std::mem::replace(&mut found, true) {
                return Err(A::Error::duplicate_field(LIST));
            }
            map.next_value_seed(List { take: &mut self.take, metrics: PhantomData })?;
        }
        if found { Ok(()) } else { Err(A::Error::missing_field(LIST)) }
    }
}

struct List<'f, F, M> {
    take: &'f mut F,
    metrics: PhantomData<M>,
}

impl<'de, F: FnMut(StoredGroup<M>), M: Deserialize<'de>> DeserializeSeed<'de> for List<'_, F, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(StoredGroup<M>), M: Deserialize<'de>> Visitor<'de> for List<'_, F, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(group) = list.next_element()? {
            (self.take)(group);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Deserializer;

    use super::*;

    fn jobs(json: &str) -> Result<Vec<String>, String> {
        let mut jobs = Vec::new();
        let each = EachGroup::new(|group: StoredGroup<IgnoredAny>| jobs.push(group.labels["job"].clone()));
        each.deserialize(&mut Deserializer::from_str(json)).map_err(|error| error.to_string())?;
        Ok(jobs)
    }

    #[test]
    fn takes_each_group_once() {
        let json = r#"{"status": "success", "data": [{"labels": {"job": "a"}}, {"labels": {"job": "b"}}], "more": [1]}"#;
        assert_eq!(jobs(json), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(jobs(r#"{"data": []}"#), Ok(Vec::new()));
        for (json, error) in [
            ("{}", "missing field `data`"),
            (r#"{"data": null}"#, "invalid type: null, expected a list"),
            (r#"{"data": [], "data": []}"#, "duplicate field `data`"),
            ("[]", "invalid type: sequence, expected an object"),
            (r#"{"data": [{"labels": {"job": "a"}}"#, "EOF while parsing a list"),
        ] {
            let found = jobs(json).unwrap_err();
            assert!(found.starts_with(error), "{json}: {found}");
        }
    }
}
