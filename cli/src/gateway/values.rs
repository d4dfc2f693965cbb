//! A digest of the values of a family, as the API lists them.

use std::fmt;

use pushring_ring::hash::key_hash;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// The metrics of a family, whatever their order. Different digests mean different values. Equal digests mean equal values
/// except for what the API does not show, such as native histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Values(u64);

impl Values {
    /// Returns the digest of a value of this kind. The kinds differ, so that `1` is not `"1"`.
    fn of(kind: u8, value: &[u8]) -> Self {
        Self(key_hash(value) ^ u64::from(kind))
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Values, E> {
        Ok(Values::of(1, &[u8::from(value)]))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Values, E> {
        Ok(Values::of(2, &value.to_le_bytes()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Values, E> {
        Ok(Values::of(3, &value.to_le_bytes()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Values, E> {
        Ok(Values::of(4, &value.to_le_bytes()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Values, E> {
        Ok(Values::of(5, value.as_bytes()))
    }

    fn visit_unit<E>(self) -> Result<Values, E> {
        Ok(Values::of(6, &[]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
        let mut sum = 0_u64;
        while let Some(Values(item)) = list.next_element()? {
            sum = sum.wrapping_add(Values::of(7, &item.to_le_bytes()).0);
        }
        Ok(Values::of(8, &sum.to_le_bytes()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        let mut sum = 0_u64;
        while let Some((Values(name), Values(value))) = map.next_entry()? {
            let entry = [name.to_le_bytes(), value.to_le_bytes()].concat();
            sum = sum.wrapping_add(Values::of(9, &entry).0);
        }
        Ok(Values::of(10, &sum.to_le_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_values_and_not_on_their_order() {
        let of = |json: &str| serde_json::from_str::<Values>(json).unwrap();
        let one = of(r#"[{"labels":{"a":"1","b":"2"},"value":"1"},{"labels":{},"buckets":{"1":"2"}}]"#);
        assert_eq!(
            one,
            of(r#"[{"buckets":{"1":"2"},"labels":{}},{"value":"1","labels":{"b":"2","a":"1"}}]"#)
        );
        for other in [
            r#"[{"labels":{"a":"1","b":"2"},"value":"2"},{"labels":{},"buckets":{"1":"2"}}]"#,
            r#"[{"labels":{"a":"2","b":"1"},"value":"1"},{"labels":{},"buckets":{"1":"2"}}]"#,
            r#"[{"labels":{"a":"1","b":"2"},"value":"1"}]"#,
            r#"[{"labels":{"a":"1","b":"2"},"value":"1"},{"labels":{},"buckets":{"1":"2"}},{}]"#,
            "[]",
            "null",
        ] {
            assert_ne!(one, of(other), "{other}");
        }
    }
}
