//! The labels of a series, borrowed from a request.

use crate::labels::{METRIC_NAME, write_string};
use crate::{Key, Labels, LabelsError};

use super::SeriesError;

/// The tenant of a request, with the buffer in which the keys of its series are computed.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Canonical form of the tenant, and behind it of the series of which the key was computed last.
    bytes: Vec<u8>,
    /// Length of the tenant in it.
    prefix: usize,
    /// Separates the raw labels of tenants.
    hash: Key,
}

impl Tenant {
    /// The tenant of a sender that names none is the empty string.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut bytes = Vec::with_capacity(1024);
        write_string(name.as_bytes(), &mut bytes);
        Self { prefix: bytes.len(), hash: Key::of_bytes(&bytes), bytes }
    }

    /// Returns the key of a series: [`Key::new`] of the same labels.
    ///
    /// # Errors
    /// If the labels name no series.
    #[inline]
    pub fn key(&mut self, labels: &mut LabelSet<'_>) -> Result<Key, LabelsError> {
        labels.canonicalize()?;
        self.bytes.truncate(self.prefix);
        for (name, value) in &labels.pairs {
            write_string(name.as_bytes(), &mut self.bytes);
            write_string(value.as_bytes(), &mut self.bytes);
        }
        Ok(Key::of_bytes(&self.bytes))
    }

    /// Returns a name for the raw labels of a series in remote write 1.0 ([`super::v1::Series::raw_labels`]).
    ///
    /// Labels with equal raw bytes are equal, so a raw key that a gateway has seen needs no parsing. The same labels may have
    /// several raw keys, and a raw key is not the key of the series. It is good in one process only.
    #[inline]
    #[must_use]
    pub fn raw_key(&self, raw: &[u8]) -> Key {
        Key::of_bytes(raw).mixed(self.hash)
    }
}

/// Names and values of a series, in the bytes of a request. One set serves for all series of a request.
#[derive(Clone, Debug)]
pub struct LabelSet<'b> {
    pairs: Vec<(&'b str, &'b str)>,
    /// Most labels of a series, empty values included.
    limit: usize,
    /// Bytes of names and values.
    bytes: usize,
}

/// Most bytes of all names and values of a series. In remote write 2.0 a reference to a long symbol takes two bytes.
pub const MAX_SERIES_BYTES: usize = 256 << 10;

impl<'b> LabelSet<'b> {
    /// Creates an empty set that takes up to `limit` labels.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { pairs: Vec::with_capacity(limit.min(64)), limit, bytes: 0 }
    }

    /// Removes all labels.
    pub fn clear(&mut self) {
        self.pairs.clear();
        self.bytes = 0;
    }

    /// Adds a label.
    ///
    /// # Errors
    /// If the set is full, or its labels are longer than [`MAX_SERIES_BYTES`].
    #[inline]
    pub fn push(&mut self, name: &'b str, value: &'b str) -> Result<(), SeriesError> {
        if self.pairs.len() >= self.limit {
            return Err(SeriesError::TooManyLabels { limit: self.limit });
        }
        self.bytes += name.len() + value.len();
        if self.bytes > MAX_SERIES_BYTES {
            return Err(SeriesError::TooLong);
        }
        self.pairs.push((name, value));
        Ok(())
    }

    /// Returns the labels as they are: in the order of the request until [`Tenant::key`] has sorted them.
    pub fn iter(&self) -> impl Iterator<Item = (&'b str, &'b str)> {
        self.pairs.iter().copied()
    }

    /// Returns the value of a label; the first, if the name is there twice.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'b str> {
        self.pairs.iter().find(|(label, _)| *label == name).map(|(_, value)| *value)
    }

    /// Copies the labels.
    ///
    /// # Errors
    /// If the labels name no series.
    pub fn to_labels(&self) -> Result<Labels, LabelsError> {
        Labels::new(self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Does to the borrowed labels what [`Labels::new`] does.
    #[inline]
    pub(crate) fn canonicalize(&mut self) -> Result<(), LabelsError> {
        // Senders sort, so one pass is nearly always enough.
        let is_sorted = self.pairs.is_sorted_by(|(a, _), (b, _)| a < b);
        let mut has_metric = false;
        let mut has_empty = false;
        if !is_sorted {
            self.pairs.sort_unstable();
            let twice = self.pairs.windows(2).find_map(|pair| match pair {
                [(a, _), (b, _)] if a == b => Some(*a),
                _ => None,
            });
            if let Some(name) = twice {
                return Err(LabelsError::Duplicate(name.to_owned()));
            }
        }
        for (name, value) in &self.pairs {
            has_empty |= value.is_empty();
            has_metric |= *name == METRIC_NAME && !value.is_empty();
        }
        if has_empty {
            self.pairs.retain(|(_, value)| !value.is_empty());
        }
        if self.pairs.first().is_some_and(|(name, _)| name.is_empty()) {
            return Err(LabelsError::EmptyName);
        }
        if has_metric { Ok(()) } else { Err(LabelsError::NoMetricName) }
    }
}
