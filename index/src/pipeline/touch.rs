//! The records of the second topic, `<topic>-touch`: series that are known and were seen again, by their keys alone.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use base64::prelude::{BASE64_STANDARD, Engine};
use pushring_index::{Key, Sighting, Source};
use serde::{Deserialize, Serialize};

/// Most keys of a record: 216 kB.
const KEYS: usize = 10_000;

/// Known series of one tenant that one source sent again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Touch {
    pub(crate) tenant: String,
    pub(crate) source: Source,
    /// Milliseconds since 1970, the latest of its series.
    pub(crate) last: i64,
    pub(crate) keys: Vec<Key>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    v: u32,
    tenant: String,
    source: Source,
    last: i64,
    /// Base64 of the keys, 16 bytes each.
    keys: String,
}

/// Returns the name of the second topic.
pub(super) fn topic(main: &str) -> String {
    format!("{main}-touch")
}

/// Groups sightings by tenant and source.
pub(super) fn group<'s>(seen: impl Iterator<Item = &'s Sighting>) -> Vec<Touch> {
    let mut groups: HashMap<(&str, &Source), (i64, Vec<Key>)> = HashMap::new();
    for sighting in seen {
        let group = groups.entry((&sighting.tenant, &sighting.source)).or_default();
        group.0 = group.0.max(sighting.at);
        group.1.push(sighting.key);
    }
    let mut touches = Vec::new();
    for ((tenant, source), (last, keys)) in groups {
        for keys in keys.chunks(KEYS) {
            let (tenant, source, keys) = (tenant.to_owned(), source.clone(), keys.to_vec());
            touches.push(Touch { tenant, source, last, keys });
        }
    }
    touches
}

impl Touch {
    /// Returns the key of the record, which only spreads records over partitions.
    pub(super) fn key(&self) -> String {
        self.keys.first().map(Key::to_string).unwrap_or_default()
    }

    /// Writes the value of a record.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let keys: Vec<u8> = self.keys.iter().flat_map(|key| key.to_bytes()).collect();
        let (tenant, source) = (self.tenant.clone(), self.source.clone());
        let record = Record { v: 1, tenant, source, last: self.last, keys: BASE64_STANDARD.encode(keys) };
        Ok(serde_json::to_vec(&record)?)
    }

    /// Reads the value of a record.
    ///
    /// # Errors
    /// If it is no record.
    pub(super) fn decode(value: &[u8]) -> Result<Self> {
        let Record { v, tenant, source, last, keys } = serde_json::from_slice(value).context("no record")?;
        ensure!(v == 1, "v: found {v}; expected 1");
        let bytes = BASE64_STANDARD.decode(keys).context("keys: expected Base64")?;
        let (keys, rest) = bytes.as_chunks::<16>();
        ensure!(rest.is_empty(), "keys: found {} bytes; expected a multiple of 16", bytes.len());
        Ok(Self { tenant, source, last, keys: keys.iter().copied().map(Key::from_bytes).collect() })
    }
}

#[cfg(test)]
mod tests {
    use pushring_index::{Kind, Labels};

    use super::*;

    #[test]
    fn sightings_are_grouped_and_read_as_they_were_written() {
        let sighting = |name: &str, sender: &str, at| {
            let labels = Labels::new(vec![("__name__".into(), name.into())]).unwrap();
            let source =
                Source { kind: Kind::Write, owner: String::new(), job: String::new(), sender: sender.into() };
            Sighting {
                tenant: String::new(),
                key: Key::new("", &labels),
                labels,
                metadata: Default::default(),
                source,
                at,
            }
        };
        let seen = [sighting("a", "x", 1), sighting("b", "x", 3), sighting("c", "y", 2)];
        let mut touches = group(seen.iter());
        touches.sort_by_key(|touch| touch.last);
        assert_eq!(
            touches.iter().map(|touch| (touch.keys.len(), touch.last)).collect::<Vec<_>>(),
            [(1, 2), (2, 3)]
        );
        for touch in touches {
            assert_eq!(Touch::decode(&touch.encode().unwrap()).unwrap(), touch);
        }
    }

    #[test]
    fn a_cut_key_is_refused() {
        let value = br#"{"v":1,"tenant":"","source":{"kind":"write","owner":"","job":"","sender":""},"last":1,"keys":"AAAA"}"#;
        assert!(Touch::decode(value).unwrap_err().to_string().contains("multiple of 16"));
    }
}
