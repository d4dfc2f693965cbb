//! Remote write 1.0: `prometheus.WriteRequest`.

use crate::Metadata;

use super::{Counts, Field, Fields, LabelSet, SeriesError, WireError, histogram, label_bytes, type_name};

/// A series, or facts about a metric.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'b> {
    /// A series with its samples.
    Series(Series<'b>),
    /// Facts about a metric.
    Metadata(MetricMetadata<'b>),
}

/// Reads a request entry by entry. After an error there is no entry.
///
/// ```
/// use pushring_index::wire::{LabelSet, Tenant, v1};
///
/// let body = b"\x0a\x10\x0a\x0e\x0a\x08__name__\x12\x02up";
/// let (mut tenant, mut labels) = (Tenant::new(""), LabelSet::new(64));
/// for entry in v1::entries(body) {
///     let v1::Entry::Series(series) = entry? else { continue };
///     series.labels(&mut labels)?;
///     println!("{}", tenant.key(&mut labels)?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn entries(body: &[u8]) -> Entries<'_> {
    Entries(Fields::new(body))
}

/// Iterator of [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'b>(Fields<'b>);

impl<'b> Iterator for Entries<'b> {
    type Item = Result<Entry<'b>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entry().transpose();
        if matches!(entry, Some(Err(_))) {
            self.0 = Fields::new(&[]);
        }
        entry
    }
}

impl<'b> Entries<'b> {
    #[inline]
    fn entry(&mut self) -> Result<Option<Entry<'b>>, WireError> {
        while let Some((number, field)) = self.0.next()? {
            match number {
                1 => return Ok(Some(Entry::Series(Series::new(field.bytes(number)?)?))),
                3 => return Ok(Some(Entry::Metadata(MetricMetadata::new(field.bytes(number)?)?))),
                // Symbols and series of 2.0: to skip them would lose them.
                4 | 5 => return Err(WireError::OtherVersion(number)),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// A series: `prometheus.TimeSeries`.
#[derive(Clone, Copy, Debug)]
pub struct Series<'b> {
    message: &'b [u8],
    raw_labels: &'b [u8],
    counts: Counts,
}

impl<'b> Series<'b> {
    #[inline]
    fn new(message: &'b [u8]) -> Result<Self, WireError> {
        let rest = after_short_labels(message);
        let mut last = message.len() - rest.len();
        let mut first = if last == 0 { message.len() } else { 0 };
        let mut counts = Counts::default();
        let mut before = rest.len();
        let mut fields = Fields::new(rest);
        while let Some((number, field)) = fields.next()? {
            let after = fields.rest().len();
            match number {
                1 => {
                    field.bytes(number)?;
                    first = first.min(message.len() - before);
                    last = message.len() - after;
                }
                2 => {
                    field.bytes(number)?;
                    counts.samples += 1;
                }
                3 => {
                    field.bytes(number)?;
                    counts.exemplars += 1;
                }
                4 => {
                    field.bytes(number)?;
                    counts.histograms += 1;
                }
                _ => {}
            }
            before = after;
        }
        Ok(Self { message, raw_labels: message.get(first..last).unwrap_or_default(), counts })
    }

    /// The bytes from the first label to the last: they alone decide which labels the series has.
    #[must_use]
    pub fn raw_labels(&self) -> &'b [u8] {
        self.raw_labels
    }

    /// The whole message.
    #[must_use]
    pub fn message(&self) -> &'b [u8] {
        self.message
    }

    /// Numbers of samples, histograms and exemplars.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Reads the labels, in the order of the request.
    ///
    /// # Errors
    /// If a label is not protobuf or not UTF-8, or there are more than the set takes.
    #[inline]
    pub fn labels(&self, into: &mut LabelSet<'b>) -> Result<(), SeriesError> {
        into.clear();
        let mut fields = Fields::new(self.raw_labels);
        while let Some((number, field)) = fields.next()? {
            if number == 1 {
                let (name, value) = label(field.bytes(number)?)?;
                into.push(name, value)?;
            }
        }
        Ok(())
    }

    /// Checks that the counts of each native histogram fit together; free for a series without any.
    ///
    /// # Errors
    /// [`SeriesError::Histogram`] with the reason.
    #[inline]
    pub fn check_histograms(&self) -> Result<(), SeriesError> {
        if self.counts.histograms == 0 {
            return Ok(());
        }
        histogram::check(self.message, 4).map_err(SeriesError::Histogram)
    }

    /// Reads time in milliseconds and value of each float sample.
    pub fn samples(&self) -> impl Iterator<Item = Result<(i64, f64), WireError>> + use<'b> {
        samples(self.message)
    }
}

/// Skips the labels at the beginning that are shorter than 128 bytes: nearly all, and nearly all of a message.
#[inline]
fn after_short_labels(message: &[u8]) -> &[u8] {
    let mut rest = message;
    while let [0x0a, length @ ..0x80, after @ ..] = rest
        && let Some(after) = after.get(usize::from(*length)..)
    {
        rest = after;
    }
    rest
}

/// The samples of a series in either version: field 2, with value and time.
pub(super) fn samples(message: &[u8]) -> impl Iterator<Item = Result<(i64, f64), WireError>> + use<'_> {
    let mut fields = Fields::new(message);
    std::iter::from_fn(move || {
        loop {
            match fields.next() {
                Ok(Some((2, Field::Bytes(bytes)))) => return Some(sample(bytes)),
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

fn sample(message: &[u8]) -> Result<(i64, f64), WireError> {
    let mut fields = Fields::new(message);
    let (mut time, mut value) = (0, 0.0);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => value = field.double(number)?,
            2 => time = field.varint(number)?.cast_signed(),
            _ => {}
        }
    }
    Ok((time, value))
}

/// Reads `prometheus.Label`.
#[inline]
fn label(message: &[u8]) -> Result<(&str, &str), SeriesError> {
    let (name, value) = label_bytes(message)?;
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| SeriesError::NotUtf8);
    Ok((text(name)?, text(value)?))
}

/// Facts about a metric: `prometheus.MetricMetadata`. Text that is not UTF-8 is read with replacement characters.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricMetadata<'b> {
    kind: u32,
    metric: &'b [u8],
    help: &'b [u8],
    unit: &'b [u8],
}

impl<'b> MetricMetadata<'b> {
    fn new(message: &'b [u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(message);
        let mut metadata = Self::default();
        while let Some((number, field)) = fields.next()? {
            match number {
                // As every decoder of protobuf does with 32 bits.
                1 => metadata.kind = field.varint(number)? as u32,
                2 => metadata.metric = field.bytes(number)?,
                4 => metadata.help = field.bytes(number)?,
                5 => metadata.unit = field.bytes(number)?,
                _ => {}
            }
        }
        Ok(metadata)
    }

    /// Name of the family: of a histogram without `_bucket`, `_sum` or `_count`.
    #[must_use]
    pub fn family(&self) -> String {
        text(self.metric)
    }

    /// The facts.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        Metadata { kind: type_name(self.kind).into(), unit: text(self.unit), help: text(self.help) }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
