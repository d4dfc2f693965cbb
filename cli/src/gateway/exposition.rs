//! Reads the metrics of a Pushgateway in the delimited protobuf format, family by family, and writes them for a push.
//!
//! Only this format has everything (native histograms, exemplars, created timestamps). Each metric is kept as the raw
//! bytes, because a decoded metric would lose fields that this version does not know: an embedded message and a byte
//! string look the same on the wire. Messages: `io.prometheus.client` of prometheus/client_model.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use anyhow::{Context, bail, ensure};
use prost::bytes::Bytes;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use prost::{Message, decode_length_delimiter};

/// Largest accepted family, in bytes: a million series. A greater length is corrupt data.
const MAX_FAMILY_BYTES: usize = 1 << 28;
/// Most fields of a family, which are its metrics, and of a metric, which are its labels: an empty one takes two bytes, but
/// much more memory.
const MAX_METRICS: usize = 1 << 22;
const MAX_LABELS: usize = 1 << 16;

/// All metrics of one name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family(MetricFamily);

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    /// Bytes, because the Pushgateway does not check that the name is UTF-8.
    #[prost(bytes = "bytes", optional, tag = "1")]
    name: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    help: Option<Bytes>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
    /// The encoded `Metric` messages.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    metrics: Vec<Bytes>,
}

/// One metric, decoded as far as needed to find its group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    /// All labels, including those of the group.
    pub(crate) labels: BTreeMap<String, String>,
    /// Value, if it is a gauge.
    pub(crate) gauge: Option<f64>,
    pub(crate) raw: Bytes,
}

/// The part of a `Metric` that is decoded.
#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Gauge>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(double, tag = "1")]
    value: f64,
}

/// Names of the types, by their numbers on the wire; the gateway's API uses the same.
const TYPES: [&str; 6] = ["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM"];

impl Family {
    /// Name; empty if it is not UTF-8.
    pub(crate) fn name(&self) -> &str {
        self.0.name.as_deref().and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    /// The bytes of the name, which need not be UTF-8.
    pub(crate) fn name_bytes(&self) -> &[u8] {
        self.0.name.as_deref().unwrap_or_default()
    }

    /// The bytes of the `# HELP` text, which need not be UTF-8.
    pub(crate) fn help(&self) -> &[u8] {
        self.0.help.as_deref().unwrap_or_default()
    }

    /// Whether it has a `# HELP` text, which may be empty.
    pub(crate) fn has_help(&self) -> bool {
        self.0.help.is_some()
    }

    /// The encoded metrics.
    pub(crate) fn raw_metrics(&self) -> &[Bytes] {
        &self.0.metrics
    }

    /// Name of the type, as in the gateway's API; empty if the number is unknown.
    pub(crate) fn kind(&self) -> &'static str {
        let number = usize::try_from(self.0.kind.unwrap_or_default());
        number.ok().and_then(|number| TYPES.get(number).copied()).unwrap_or_default()
    }

    /// Decodes the metrics one by one; an item is an error if its labels are not UTF-8 or its bytes are not a metric.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = anyhow::Result<Metric>> {
        self.0.metrics.iter().map(|raw| {
            check_fields(raw, MAX_LABELS).with_context(|| format!("a metric of {:?}", self.name()))?;
            let head = Head::decode(raw.clone()).with_context(|| format!("a metric of {:?}", self.name()))?;
            let labels = head.labels.into_iter().map(|label| (label.name, label.value)).collect();
            Ok(Metric { labels, gauge: head.gauge.map(|gauge| gauge.value), raw: raw.clone() })
        })
    }

    /// Creates a family for a push. `None` if [`Family::kind`] does not know the type.
    pub(crate) fn new(name: &str, kind: &str, help: Option<&str>, metrics: Vec<Bytes>) -> Option<Self> {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let kind = TYPES.iter().position(|known| *known == kind).and_then(|kind| i32::try_from(kind).ok())?;
        Some(Self(MetricFamily { name: Some(bytes(name)), help: help.map(bytes), kind: Some(kind), metrics }))
    }
}

/// Reads families until the end or the first error.
pub(crate) fn families(reader: impl Read) -> impl Iterator<Item = anyhow::Result<Family>> {
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let family = read(&mut reader).context("the exposition in protobuf").transpose();
        failed = matches!(family, Some(Err(_)));
        family
    })
}

fn read(reader: &mut impl BufRead) -> anyhow::Result<Option<Family>> {
    let Some(length) = read_length(reader)? else { return Ok(None) };
    if length > MAX_FAMILY_BYTES {
        bail!("found a family of {length} bytes, allowed up to {MAX_FAMILY_BYTES}");
    }
    // The buffer grows with the data, so a wrong length allocates no memory.
    let mut bytes = Vec::new();
    let read = reader.take(length as u64).read_to_end(&mut bytes)?;
    if read != length {
        bail!("truncated within a family, after {read} of {length} bytes");
    }
    let bytes = Bytes::from(bytes);
    check_fields(&bytes, MAX_METRICS)?;
    Ok(Some(Family(MetricFamily::decode(bytes)?)))
}

/// Counts the fields of a message before each becomes a value.
///
/// # Errors
/// There are more than `most`, or the bytes are not a message.
pub(crate) fn check_fields(message: &[u8], most: usize) -> anyhow::Result<()> {
    let mut rest = message;
    let mut count = 0;
    while !rest.is_empty() {
        let (tag, kind) = decode_key(&mut rest)?;
        skip_field(kind, tag, &mut rest, DecodeContext::default())?;
        count += 1;
        ensure!(count <= most, "found more than {most} fields in a message, expected at most {most}");
    }
    Ok(())
}

/// Returns `None` at the end of the input.
fn read_length(reader: &mut impl BufRead) -> anyhow::Result<Option<usize>> {
    let mut varint = Vec::new();
    for byte in reader.bytes().take(10) {
        varint.push(byte?);
        if varint.last().is_some_and(|byte| *byte < 0x80) {
            return Ok(Some(decode_length_delimiter(varint.as_slice())?));
        }
    }
    ensure!(varint.is_empty(), "truncated length, or a length of more than 10 bytes");
    Ok(None)
}

/// Encodes the body of a push: each family after its length.
pub(crate) fn write(families: &[Family]) -> Vec<u8> {
    families.iter().flat_map(|family| family.0.encode_length_delimited_to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A label `a="b"`, a gauge of -0, and a field that this version does not know.
    const RAW: &[u8] = b"\x0a\x06\x0a\x01a\x12\x01b\x12\x09\x09\0\0\0\0\0\0\0\x80\xfa\x01\x01x";

    fn family(name: &str, metrics: &[&'static [u8]]) -> Family {
        let metrics = metrics.iter().map(|raw| Bytes::from_static(raw)).collect();
        Family::new(name, "GAUGE", Some("Help."), metrics).unwrap()
    }

    #[test]
    fn keeps_metrics_byte_for_byte() {
        let written = [family("one", &[RAW, b""]), family("none", &[])];
        let read: Vec<_> = families(write(&written).as_slice()).map(Result::unwrap).collect();
        assert_eq!(read, written);
        assert_eq!((read[0].name(), read[0].kind()), ("one", "GAUGE"));
        let metrics: Vec<_> = read[0].metrics().map(Result::unwrap).collect();
        assert_eq!(metrics[0].raw, RAW);
        assert_eq!(metrics[0].labels, BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        assert_eq!(metrics[0].gauge.unwrap().to_bits(), (-0.0_f64).to_bits());
        assert_eq!(metrics[1], Metric { labels: BTreeMap::new(), gauge: None, raw: Bytes::new() });
    }

    #[test]
    fn ends_with_an_error_if_truncated_or_too_long() {
        let whole = write(&[family("one", &[RAW])]);
        for end in 1..whole.len() {
            let mut read = families(&whole[..end]);
            assert!(read.next().unwrap().is_err(), "{end}");
            assert!(read.next().is_none(), "{end}");
        }
        for bytes in [b"\xff\xff\xff\xff\x7f".as_slice(), &[0xff; 11], &[0x80]] {
            assert!(families(bytes).next().unwrap().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn reports_labels_that_are_not_utf8_and_reads_on() {
        let family = family("one", &[b"\x0a\x06\x0a\x01a\x12\x01\xff", RAW]);
        let metrics: Vec<_> = family.metrics().collect();
        assert!(metrics[0].is_err());
        assert!(metrics[1].is_ok());
        let named = MetricFamily { name: Some(Bytes::from_static(b"\xff")), ..MetricFamily::default() };
        assert_eq!(Family(named).name(), "");
    }

    #[test]
    fn rejects_unknown_types() {
        assert_eq!(Family::new("a", "", None, Vec::new()), None);
        assert_eq!(Family(MetricFamily { kind: Some(-1), ..MetricFamily::default() }).kind(), "");
    }
}
