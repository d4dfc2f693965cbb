//! The key of a series: 16 bytes by which every part of the system knows it.

use std::fmt;

use twox_hash::XxHash3_128;

use crate::labels::{Labels, write_string};

/// XXH3-128 (seed 0) of the tenant after its length and of the canonical form of the labels.
///
/// The big-endian bytes are the wire format; text is 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(u128);

impl Key {
    /// Computes the key of a series of a tenant. The tenant of a sender that names none is the empty string.
    #[must_use]
    pub fn new(tenant: &str, labels: &Labels) -> Self {
        let mut bytes = Vec::with_capacity(512);
        write_string(tenant.as_bytes(), &mut bytes);
        labels.write_canonical(&mut bytes);
        Self::of_bytes(&bytes)
    }

    /// Hashes a tenant and a canonical form that are written already.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(XxHash3_128::oneshot(bytes))
    }

    pub(crate) fn number(self) -> u128 {
        self.0
    }

    /// Returns another key for each other `salt`.
    pub(crate) fn mixed(self, salt: Self) -> Self {
        Self(self.0 ^ salt.0)
    }

    /// Returns the wire format.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads the wire format.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Reads 32 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_independent_implementation() {
        let mut number = 0;
        for series in pushring_vectors::series() {
            let labels = Labels::new(series.labels.clone()).unwrap();
            let mut canonical = Vec::new();
            labels.write_canonical(&mut canonical);
            if let Some(expected) = series.canonical {
                assert_eq!(canonical, expected, "{:?}", series.labels);
            }
            assert_eq!(Key::new(&series.tenant, &labels).to_string(), series.key, "{:?}", series.labels);
            let mut borrowed = crate::wire::LabelSet::new(64);
            series.labels.iter().for_each(|(name, value)| borrowed.push(name, value).unwrap());
            let key = crate::wire::Tenant::new(&series.tenant).key(&mut borrowed).unwrap();
            assert_eq!(key.to_string(), series.key);
            number += 1;
        }
        assert!(number > 50, "{number} vectors");
    }

    #[test]
    fn text_and_bytes_are_one_key() {
        let labels = Labels::new(vec![("__name__".into(), "up".into())]).unwrap();
        let key = Key::new("", &labels);
        assert_eq!(Key::parse(&key.to_string()), Some(key));
        assert_eq!(Key::from_bytes(key.to_bytes()), key);
        assert_ne!(Key::new("other", &labels), key);
        assert_eq!(Key::parse("+0000000000000000000000000000001"), None);
    }
}
