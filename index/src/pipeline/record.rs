//! The records of the topic: JSON, a superset of those of the original. docs/index/wire-format.md describes them.

use std::borrow::Cow;

use anyhow::{Context, Result, ensure};
use pushring_index::{Key, Kind, Labels, Metadata, Sighting, Source};
use serde::{Deserialize, Serialize};

/// The version that this program writes, and the highest that it reads. The original's records have none.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Record<'r> {
    #[serde(default)]
    v: u32,
    #[serde(borrow)]
    labels: Vec<Label<'r>>,
    /// The series as text, for people.
    #[serde(default)]
    content: Cow<'r, str>,
    #[serde(default)]
    tenant: Cow<'r, str>,
    #[serde(default)]
    sources: Cow<'r, [Source]>,
    #[serde(flatten)]
    metadata: Cow<'r, Metadata>,
    /// Milliseconds since 1970; 0 is unknown.
    #[serde(default)]
    first: i64,
    #[serde(default)]
    last: i64,
}

#[derive(Serialize, Deserialize)]
struct Label<'r> {
    #[serde(borrow)]
    name: Cow<'r, str>,
    #[serde(borrow)]
    value: Cow<'r, str>,
}

/// Writes the value of a record; its key is the text of the key of the series.
pub(super) fn encode(sighting: &Sighting) -> Result<Vec<u8>> {
    let label = |(name, value)| Label { name: Cow::Borrowed(name), value: Cow::Borrowed(value) };
    let record = Record {
        v: VERSION,
        labels: sighting.labels.iter().map(label).collect(),
        content: sighting.labels.to_string().into(),
        tenant: Cow::Borrowed(&sighting.tenant),
        sources: Cow::Borrowed(std::slice::from_ref(&sighting.source)),
        metadata: Cow::Borrowed(&sighting.metadata),
        first: sighting.at,
        last: sighting.at,
    };
    Ok(serde_json::to_vec(&record)?)
}

/// Reads the value of a record: a sighting for each source, and a second one if the record has two times.
///
/// `key` is the key of the record: that of the series, whose labels may be cut. The original's records have another one, so that
/// the key is computed from the labels. `at` is the time of the record, for one that has no times.
///
/// # Errors
/// If it is no record, or its labels name no series.
pub(super) fn decode(key: Option<&[u8]>, value: &[u8], at: i64) -> Result<Vec<Sighting>> {
    let record: Record<'_> = serde_json::from_slice(value).context("no record")?;
    ensure!(record.v <= VERSION, "v: found {}; expected at most {VERSION}", record.v);
    let pairs = record.labels.into_iter().map(|label| (label.name.into_owned(), label.value.into_owned()));
    let labels = Labels::new(pairs.collect())?;
    let mut sources = record.sources.into_owned();
    if sources.is_empty() {
        let job = labels.get("job").unwrap_or_default().to_owned();
        sources.push(Source { kind: Kind::Write, owner: String::new(), job, sender: String::new() });
    }
    let known = |time: i64| if time > 0 { time } else { at };
    let mut times = vec![known(record.first), known(record.last)];
    times.dedup();
    let (tenant, metadata) = (record.tenant.into_owned(), record.metadata.into_owned());
    let of_record = key.and_then(|key| Key::parse(std::str::from_utf8(key).ok()?));
    let key = of_record.filter(|_| record.v > 0).unwrap_or_else(|| Key::new(&tenant, &labels));
    let mut sightings = Vec::with_capacity(1);
    for source in sources {
        for at in &times {
            let (tenant, labels) = (tenant.clone(), labels.clone());
            let (metadata, source) = (metadata.clone(), source.clone());
            sightings.push(Sighting { tenant, key, labels, metadata, source, at: *at });
        }
    }
    Ok(sightings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting() -> Sighting {
        let pairs = [("__name__", "up"), ("job", "a"), ("quote", "\"\\\n\u{1}ä")];
        let labels =
            Labels::new(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
        let labels = labels.unwrap();
        let source = Source { kind: Kind::Push, owner: "p1".into(), job: "j".into(), sender: "::1".into() };
        let metadata = Metadata { kind: "counter".into(), unit: "s".into(), help: "Help".into() };
        let tenant = "t".to_owned();
        Sighting { key: Key::new(&tenant, &labels), tenant, labels, metadata, source, at: 1_700_000_000_123 }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let value = encode(&sighting()).unwrap();
        assert_eq!(decode(None, &value, 5).unwrap(), [sighting()]);
        let other = Key::from_bytes([7; 16]);
        let found = decode(Some(other.to_string().as_bytes()), &value, 5).unwrap();
        assert_eq!(found[0].key, other, "the labels of a long value are cut, its key is not");
        let json: serde_json::Value = serde_json::from_slice(&value).unwrap();
        assert_eq!(json["v"], 1);
        assert_eq!(json["labels"][0], serde_json::json!({"name": "__name__", "value": "up"}));
        assert_eq!((&json["type"], &json["sources"][0]["kind"]), (&"counter".into(), &"push".into()));
    }

    #[test]
    fn a_record_of_the_original_is_read() {
        let value = br#"{"labels":[{"name":"Zone","value":"eu"},{"name":"__name__","value":"up"},{"name":"job","value":"a"}],"content":"eu{__name__=\"up\"}"}"#;
        let found = decode(Some(b"00000000000000000000000000000001"), value, 77).unwrap();
        assert_eq!(found.len(), 1);
        let Sighting { labels, at, source, tenant, key, .. } = &found[0];
        assert_eq!(*key, Key::new("", labels));
        assert_eq!((labels.metric(), *at, source.job.as_str(), tenant.as_str()), ("up", 77, "a", ""));
    }

    #[test]
    fn two_times_and_two_sources_are_four_sightings() {
        let value = br#"{"v":1,"labels":[{"name":"__name__","value":"up"}],"first":3,"last":9,"sources":[{"kind":"write","owner":"","job":"","sender":"a"},{"kind":"write","owner":"","job":"","sender":"b"}]}"#;
        let found = decode(None, value, 0).unwrap();
        let seen: Vec<_> = found.iter().map(|found| (found.source.sender.as_str(), found.at)).collect();
        assert_eq!(seen, [("a", 3), ("a", 9), ("b", 3), ("b", 9)]);
    }

    #[test]
    fn another_value_is_refused_with_the_reason() {
        for (value, reason) in [
            (&b"{"[..], "no record"),
            (br#"{"labels":[{"name":"job","value":"a"}]}"#, "__name__"),
            (br#"{"v":2,"labels":[]}"#, "expected at most 1"),
            (b"\xff", "no record"),
        ] {
            let error = format!("{:#}", decode(None, value, 0).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }
}
