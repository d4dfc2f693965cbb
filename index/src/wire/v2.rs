//! Remote write 2.0: `io.prometheus.write.v2.Request`.

use crate::Metadata;

use super::protobuf::varint;
use super::{Counts, Field, Fields, LabelSet, SeriesError, WireError, histogram, type_name, v1};

/// Most symbols of a request: an empty one takes two bytes of it, but more in memory.
pub const MAX_SYMBOLS: usize = 1 << 21;

/// A request with its table of symbols.
#[derive(Clone, Debug)]
pub struct Request<'b> {
    body: &'b [u8],
    /// `None` is one that is not UTF-8.
    symbols: Vec<Option<&'b str>>,
}

impl<'b> Request<'b> {
    /// Reads the symbols, in any place of the body.
    ///
    /// # Errors
    /// If the body is not protobuf, is one of 1.0, or has more than [`MAX_SYMBOLS`].
    pub fn new(body: &'b [u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(body);
        let mut symbols = Vec::new();
        while let Some((number, field)) = fields.next()? {
            match number {
                // The protocol reserves the fields of 1.0: to skip its series would lose them.
                1..=3 => return Err(WireError::OtherVersion(number)),
                4 if symbols.len() == MAX_SYMBOLS => return Err(WireError::TooManySymbols(MAX_SYMBOLS)),
                4 => symbols.push(std::str::from_utf8(field.bytes(number)?).ok()),
                _ => {}
            }
        }
        Ok(Self { body, symbols })
    }

    /// Returns a symbol.
    ///
    /// # Errors
    /// If the table has no such symbol, or it is not UTF-8.
    #[inline]
    pub fn symbol(&self, reference: u32) -> Result<&'b str, SeriesError> {
        match self.symbols.get(reference as usize) {
            Some(Some(symbol)) => Ok(symbol),
            Some(None) => Err(SeriesError::NotUtf8),
            None => Err(SeriesError::NoSymbol { reference, symbols: self.symbols.len() }),
        }
    }

    /// Returns all symbols in the order of their references; `None` is one that is not UTF-8.
    pub(super) fn symbols(&self) -> impl Iterator<Item = Option<&'b str>> {
        self.symbols.iter().copied()
    }

    /// Reads the series one by one. After an error there is no series.
    #[must_use]
    pub fn series(&self) -> SeriesIter<'b> {
        SeriesIter(Fields::new(self.body))
    }
}

/// Iterator of [`Request::series`].
#[derive(Clone, Debug)]
pub struct SeriesIter<'b>(Fields<'b>);

impl<'b> Iterator for SeriesIter<'b> {
    type Item = Result<Series<'b>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let series = self.series().transpose();
        if matches!(series, Some(Err(_))) {
            self.0 = Fields::new(&[]);
        }
        series
    }
}

impl<'b> SeriesIter<'b> {
    #[inline]
    fn series(&mut self) -> Result<Option<Series<'b>>, WireError> {
        while let Some((number, field)) = self.0.next()? {
            if number == 5 {
                return Series::new(field.bytes(number)?).map(Some);
            }
        }
        Ok(None)
    }
}

/// A series: `io.prometheus.write.v2.TimeSeries`.
#[derive(Clone, Copy, Debug)]
pub struct Series<'b> {
    message: &'b [u8],
    /// The references to names and values, if they are in one piece, as every encoder writes them.
    packed: Option<&'b [u8]>,
    metadata: Option<&'b [u8]>,
    counts: Counts,
}

impl<'b> Series<'b> {
    #[inline]
    fn new(message: &'b [u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(message);
        let mut series = Self { message, packed: Some(&[]), metadata: None, counts: Counts::default() };
        let mut is_first = true;
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(bytes)) => {
                    series.packed = is_first.then_some(bytes);
                    is_first = false;
                }
                (1, Field::Varint(_)) => {
                    series.packed = None;
                    is_first = false;
                }
                (2, Field::Bytes(_)) => series.counts.samples += 1,
                (3, Field::Bytes(_)) => series.counts.histograms += 1,
                (4, Field::Bytes(_)) => series.counts.exemplars += 1,
                (5, Field::Bytes(bytes)) => series.metadata = Some(bytes),
                (1..=5, _) => return Err(WireError::WrongType(number)),
                _ => {}
            }
        }
        Ok(series)
    }

    /// The references of the labels, if they are in one piece.
    pub(super) fn packed(&self) -> Option<&'b [u8]> {
        self.packed
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
    /// If a reference is not in the table or its symbol is not UTF-8, if a value is missing, or if there are more labels than
    /// the set takes.
    #[inline]
    pub fn labels(&self, request: &Request<'b>, into: &mut LabelSet<'b>) -> Result<(), SeriesError> {
        into.clear();
        let mut pairs = Pairs { request, name: None, into };
        match self.packed {
            Some(packed) => pairs.add_packed(packed)?,
            None => pairs.add_pieces(self.message)?,
        }
        pairs.finish()
    }

    /// Reads the facts about the metric. Reference 0 is no text; one that leads nowhere gives no text, for the series is good without it.
    ///
    /// # Errors
    /// If the bytes are not protobuf.
    pub fn metadata(&self, request: &Request<'b>) -> Result<Metadata, WireError> {
        let mut metadata = Metadata::default();
        let mut fields = Fields::new(self.metadata.unwrap_or_default());
        let text = |reference: u64| match reference as u32 {
            0 => String::new(),
            reference => request.symbol(reference).unwrap_or_default().to_owned(),
        };
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => metadata.kind = type_name(field.varint(number)? as u32).into(),
                3 => metadata.help = text(field.varint(number)?),
                4 => metadata.unit = text(field.varint(number)?),
                _ => {}
            }
        }
        Ok(metadata)
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
        histogram::check(self.message, 3).map_err(SeriesError::Histogram)
    }

    /// Reads time in milliseconds and value of each float sample.
    pub fn samples(&self) -> impl Iterator<Item = Result<(i64, f64), WireError>> + use<'b> {
        v1::samples(self.message)
    }
}

/// Reads the labels of a message that has references in field 1: a series or an exemplar.
pub(crate) fn labels_of<'b>(
    message: &[u8],
    request: &Request<'b>,
    into: &mut LabelSet<'b>,
) -> Result<(), SeriesError> {
    into.clear();
    let mut pairs = Pairs { request, name: None, into };
    pairs.add_pieces(message)?;
    pairs.finish()
}

/// Makes labels of references, which are a name and a value in turn.
struct Pairs<'s, 'b> {
    request: &'s Request<'b>,
    name: Option<&'b str>,
    into: &'s mut LabelSet<'b>,
}

impl Pairs<'_, '_> {
    #[inline]
    fn add(&mut self, reference: u32) -> Result<(), SeriesError> {
        let symbol = self.request.symbol(reference)?;
        match self.name.take() {
            None => self.name = Some(symbol),
            Some(name) => self.into.push(name, symbol)?,
        }
        Ok(())
    }

    #[inline]
    fn add_packed(&mut self, mut packed: &[u8]) -> Result<(), SeriesError> {
        while !packed.is_empty() {
            self.add(varint(&mut packed)? as u32)?;
        }
        Ok(())
    }

    /// The references of a message that has them in several pieces or one by one.
    fn add_pieces(&mut self, message: &[u8]) -> Result<(), SeriesError> {
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(packed)) => self.add_packed(packed)?,
                // As every decoder of protobuf does with 32 bits.
                (1, Field::Varint(reference)) => self.add(reference as u32)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), SeriesError> {
        if self.name.is_some() { Err(SeriesError::OddReferences) } else { Ok(()) }
    }
}
