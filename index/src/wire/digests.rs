//! Names for the labels of a series in remote write 2.0 that are equal in all requests, whatever their tables of symbols.

use crate::Key;

use super::protobuf::varint;
use super::v2::{Request, Series};

/// Most bytes of the references of a series; a longer list is left to the parser, which has limits.
const MOST: usize = 1 << 12;

/// The hashes of the symbols of a request. A request has far fewer symbols than its series have labels, so that the hashes of a
/// series are found for less than a half of the time that its labels take.
#[derive(Clone, Debug)]
pub struct Digests {
    /// By reference; `None` is a symbol that is not UTF-8.
    symbols: Vec<Option<[u8; 16]>>,
    /// The result for the last series.
    bytes: Vec<u8>,
}

impl Digests {
    /// Hashes the symbols.
    #[must_use]
    pub fn new(request: &Request<'_>) -> Self {
        let hash = |symbol: Option<&str>| Some(Key::of_bytes(symbol?.as_bytes()).to_bytes());
        Self { symbols: request.symbols().map(hash).collect(), bytes: Vec::with_capacity(1024) }
    }

    /// Returns bytes that are equal for equal labels in equal order, and differ for others: what
    /// [`super::v1::Series::raw_labels`] is in remote write 1.0. Returns nothing for a series that must be parsed.
    #[inline]
    pub fn raw_labels(&mut self, series: &Series<'_>) -> Option<&[u8]> {
        let mut packed = series.packed().filter(|packed| packed.len() <= MOST)?;
        self.bytes.clear();
        while !packed.is_empty() {
            let reference = varint(&mut packed).ok()? as u32;
            let hash = self.symbols.get(reference as usize)?.as_ref()?;
            self.bytes.extend_from_slice(hash);
        }
        Some(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request with these symbols and one series with these references.
    fn raw(symbols: &[&[u8]], references: &[u8]) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        for symbol in symbols {
            body.extend([0x22, symbol.len() as u8]);
            body.extend(*symbol);
        }
        body.extend([0x2a, references.len() as u8 + 2, 0x0a, references.len() as u8]);
        body.extend(references);
        let request = Request::new(&body).unwrap();
        let series = request.series().next().unwrap().unwrap();
        Digests::new(&request).raw_labels(&series).map(<[u8]>::to_vec)
    }

    #[test]
    fn equal_labels_of_other_tables_have_equal_bytes() {
        let one = raw(&[b"", b"__name__", b"up", b"job", b"a"], &[1, 2, 3, 4]);
        let other = raw(&[b"", b"a", b"x", b"job", b"up", b"__name__"], &[5, 4, 3, 1]);
        assert!(one.is_some());
        assert_eq!(one, other);
        for references in [&[1, 2, 3, 2][..], &[1, 2], &[1, 2, 4, 3], &[3, 4, 1, 2]] {
            assert_ne!(raw(&[b"", b"__name__", b"up", b"job", b"a"], references), one, "{references:?}");
        }
    }

    #[test]
    fn bad_references_and_bad_symbols_have_none() {
        assert_eq!(raw(&[b"", b"__name__", b"\xff"], &[1, 2]), None);
        assert_eq!(raw(&[b"", b"__name__", b"up"], &[1, 3]), None);
        assert_eq!(raw(&[b"", b"__name__", b"up"], &[1, 0x82]), None);
        assert_eq!(raw(&[b"", b"__name__", b"up"], &[]), Some(Vec::new()));
    }
}
