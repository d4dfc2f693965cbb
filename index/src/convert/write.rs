//! Remote write 2.0 to 1.0.

use std::collections::BTreeSet;
use std::fmt;

use crate::Metadata;
use crate::wire::{Counts, Field, Fields, LabelSet, SeriesError, WireError, v2, write_varint};

/// A request of remote write 1.0, not compressed, made from one of 2.0.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Converted {
    /// `prometheus.WriteRequest`.
    pub body: Vec<u8>,
    /// Numbers of the body: nothing that was left out counts.
    pub counts: Counts,
    /// Series that were left out because their labels are bad.
    pub bad: u64,
    /// The fault of the first bad series.
    pub first: Option<SeriesError>,
}

/// The reason why a request cannot be converted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConvertError {
    /// It is not protobuf.
    Wire(WireError),
    /// The result would be longer than allowed: 2.0 writes a text once, 1.0 with each series.
    TooLong {
        /// In bytes.
        limit: usize,
    },
}

/// Converts a request. Samples and native histograms are copied byte for byte; times of creation, which 1.0 does not have,
/// are ignored by its decoders. Facts about metrics become one entry for each family.
///
/// A series takes up to `max_labels` labels, the result up to `max_bytes`. Without `histograms`, native histograms are left
/// out, for a target that drops them silently, such as VictoriaMetrics. A series that has nothing left is left out, and so are
/// those at the positions `bad`, which ascend.
///
/// # Errors
/// If the request is not protobuf, or the result would be too long.
pub fn to_v1(
    request: &v2::Request<'_>,
    bad: &[usize],
    histograms: bool,
    max_labels: usize,
    max_bytes: usize,
) -> Result<Converted, ConvertError> {
    let mut converted = Converted::default();
    let mut labels = LabelSet::new(max_labels);
    let mut families = BTreeSet::new();
    let mut message = Vec::new();
    let mut facts = Vec::new();
    let mut bad = bad.iter().peekable();
    for (position, series) in request.series().enumerate() {
        let series = series?;
        if bad.next_if_eq(&&position).is_some() {
            continue;
        }
        let read = series.labels(request, &mut labels);
        if let Err(error) = read.and_then(|()| Ok(labels.canonicalize()?)) {
            converted.bad += 1;
            converted.first.get_or_insert(error);
            continue;
        }
        message.clear();
        write_labels(&labels, &mut message);
        let counts = write_values(series.message(), request, histograms, max_labels, &mut message)?;
        if counts != Counts::default() {
            converted.counts += counts;
            write_bytes(1, &message, &mut converted.body);
        }
        let metadata = series.metadata(request)?;
        if metadata != Metadata::default() {
            let family = family(labels.get(crate::METRIC_NAME).unwrap_or_default(), &metadata.kind);
            if !families.contains(family) {
                write_metadata(family, &metadata, &mut facts);
                families.insert(family.to_owned());
            }
        }
        if converted.body.len() + facts.len() > max_bytes {
            return Err(ConvertError::TooLong { limit: max_bytes });
        }
    }
    converted.body.extend_from_slice(&facts);
    Ok(converted)
}

fn write_labels(labels: &LabelSet<'_>, into: &mut Vec<u8>) {
    let mut label = Vec::new();
    for (name, value) in labels.iter() {
        label.clear();
        write_bytes(1, name.as_bytes(), &mut label);
        write_bytes(2, value.as_bytes(), &mut label);
        write_bytes(1, &label, into);
    }
}

/// Appends samples, exemplars and histograms; the latter two have each other's numbers in 1.0.
fn write_values(
    series: &[u8],
    request: &v2::Request<'_>,
    histograms: bool,
    max_labels: usize,
    into: &mut Vec<u8>,
) -> Result<Counts, WireError> {
    let mut fields = Fields::new(series);
    let mut counts = Counts::default();
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (2, Field::Bytes(sample)) => {
                write_bytes(2, sample, into);
                counts.samples += 1;
            }
            (3, Field::Bytes(histogram)) if histograms => {
                write_bytes(4, histogram, into);
                counts.histograms += 1;
            }
            (4, Field::Bytes(exemplar)) => {
                if let Some(exemplar) = exemplar_v1(exemplar, request, max_labels)? {
                    write_bytes(3, &exemplar, into);
                    counts.exemplars += 1;
                }
            }
            _ => {}
        }
    }
    Ok(counts)
}

/// Returns `None` for an exemplar with bad labels, which is no reason to refuse its series.
fn exemplar_v1(
    exemplar: &[u8],
    request: &v2::Request<'_>,
    max_labels: usize,
) -> Result<Option<Vec<u8>>, WireError> {
    let mut labels = LabelSet::new(max_labels);
    if v2::labels_of(exemplar, request, &mut labels).is_err() {
        return Ok(None);
    }
    let mut into = Vec::new();
    write_labels(&labels, &mut into);
    let mut fields = Fields::new(exemplar);
    while let Some((number, field)) = fields.next()? {
        match number {
            2 => {
                into.push(2 << 3 | 1);
                into.extend_from_slice(&field.double(number)?.to_le_bytes());
            }
            3 => {
                into.push(3 << 3);
                write_varint(field.varint(number)?, &mut into);
            }
            _ => {}
        }
    }
    Ok(Some(into))
}

fn write_metadata(family: &str, metadata: &Metadata, into: &mut Vec<u8>) {
    let mut message = vec![1 << 3, crate::wire::type_number(&metadata.kind)];
    write_bytes(2, family.as_bytes(), &mut message);
    write_bytes(4, metadata.help.as_bytes(), &mut message);
    write_bytes(5, metadata.unit.as_bytes(), &mut message);
    write_bytes(3, &message, into);
}

/// The name of the family: 1.0 has one entry for a histogram, 2.0 repeats its facts with each series.
fn family<'n>(name: &'n str, kind: &str) -> &'n str {
    let endings: &[&str] = match kind {
        "histogram" | "gaugehistogram" => &["_bucket", "_count", "_sum"],
        "summary" => &["_count", "_sum"],
        _ => &[],
    };
    endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// Appends a field of bytes; its number is below 16.
fn write_bytes(number: u8, bytes: &[u8], into: &mut Vec<u8>) {
    into.push(number << 3 | 2);
    write_varint(bytes.len() as u64, into);
    into.extend_from_slice(bytes);
}

impl From<WireError> for ConvertError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(error) => error.fmt(f),
            Self::TooLong { limit } => {
                write!(
                    f,
                    "the request has more than {limit} bytes in remote write 1.0: send smaller requests"
                )
            }
        }
    }
}

impl std::error::Error for ConvertError {}
