//! The ways in which a scraper reads a gateway: how the gateway escapes names for it, and which series it makes of a
//! histogram.
//!
//! A gateway escapes names unless the request has `escaping=allow-utf-8`, by the rules of prometheus/common
//! (`model.EscapeName`). Prometheus 3 sends that with each text format of version 1.0.0, but never with protobuf.

use std::borrow::Cow;

use super::super::culprits::go_text;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escaping {
    None,
    Underscores,
    Dots,
    Values,
}

/// The series that Prometheus makes of a native histogram. All others are classic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Native {
    /// As of a classic histogram.
    Ignored,
    Alone,
    WithClassic,
}

/// A way of scraping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scraper {
    escaping: Escaping,
    native: Native,
    /// The settings of Prometheus that select it. Empty: the default.
    pub(super) name: &'static str,
}

/// Prometheus with its defaults: text, and names in UTF-8.
pub(super) const DEFAULT: Scraper = Scraper::new(Escaping::None, Native::Ignored, "");

/// The others differ from the default only for names that need escaping and for native histograms.
const OTHERS: [Scraper; 5] = [
    Scraper::new(Escaping::Underscores, Native::Ignored, "without UTF-8 names (escaping=underscores)"),
    Scraper::new(Escaping::Underscores, Native::Alone, "with scrape_native_histograms"),
    Scraper::new(Escaping::Underscores, Native::WithClassic, "with always_scrape_classic_histograms"),
    Scraper::new(Escaping::Dots, Native::Ignored, "with escaping=dots"),
    Scraper::new(Escaping::Values, Native::Ignored, "with escaping=values"),
];

impl Scraper {
    const fn new(escaping: Escaping, native: Native, name: &'static str) -> Self {
        Self { escaping, native, name }
    }

    /// Returns all that may find other problems than the default.
    pub(super) fn others(has_escaped: bool, has_native: bool) -> impl Iterator<Item = Self> {
        let differs = move |scraper: &Self| match scraper.native {
            Native::Ignored => has_escaped,
            Native::Alone => has_escaped || has_native,
            Native::WithClassic => has_native,
        };
        OTHERS.into_iter().filter(differs)
    }

    /// Returns a name of a family or of a label as the gateway writes it for this scraper.
    pub(super) fn escape<'n>(&self, name: &'n [u8]) -> Cow<'n, [u8]> {
        if self.escaping == Escaping::None || !needs_escaping(name) {
            return Cow::Borrowed(name);
        }
        let mut escaped = if self.escaping == Escaping::Values { "U__".to_owned() } else { String::new() };
        for (index, char) in go_text(name).chars().enumerate() {
            match (self.escaping, char) {
                (Escaping::Dots | Escaping::Values, '_') => escaped.push_str("__"),
                (Escaping::Dots, '.') => escaped.push_str("_dot_"),
                _ if is_legacy(char, index) => escaped.push(char),
                (Escaping::Dots, _) => escaped.push_str("__"),
                (Escaping::Values, _) => escaped.push_str(&format!("_{:x}_", u32::from(char))),
                _ => escaped.push('_'),
            }
        }
        Cow::Owned(escaped.into_bytes())
    }

    /// Returns whether a label with this name, which contains a colon, ends the text format: the gateway puts a name in
    /// quotes unless it is valid for a family, for which a colon is valid. Protobuf has no such limit.
    pub(super) fn ends_at_colon(&self, name: &[u8]) -> bool {
        self.reads_text() && name.contains(&b':') && !needs_escaping(name)
    }

    /// Returns whether it reads the text format; for the others, the gateway writes protobuf.
    pub(super) fn reads_text(&self) -> bool {
        self.native == Native::Ignored
    }

    /// Returns whether it reads the classic series of a native histogram; `has_buckets`: of one with classic buckets.
    pub(super) fn has_classic(&self, has_buckets: bool) -> bool {
        self.native == Native::Ignored || self.native == Native::WithClassic && has_buckets
    }

    /// Returns whether it reads a native histogram as one.
    pub(super) fn has_native(&self) -> bool {
        self.native != Native::Ignored
    }
}

/// Returns whether a name is not a name of Prometheus 2; the rule for families applies to labels, too.
pub(super) fn needs_escaping(name: &[u8]) -> bool {
    let is_legacy = |(index, byte): (usize, &u8)| is_legacy(char::from(*byte), index);
    !name.is_empty() && !name.iter().enumerate().all(is_legacy)
}

fn is_legacy(char: char, index: usize) -> bool {
    char.is_ascii_alphabetic() || matches!(char, '_' | ':') || index > 0 && char.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected names are those of prometheus/common 0.67.
    #[test]
    fn escapes_as_the_gateway() {
        let cases: [(&[u8], [&str; 3]); 5] = [
            (b"a_b:c", ["a_b:c", "a_b:c", "a_b:c"]),
            (b"a.b_c", ["a_b_c", "a_dot_b__c", "U__a_2e_b__c"]),
            (b"1 x", ["__x", "____x", "U___31__20_x"]),
            ("é".as_bytes(), ["_", "__", "U___e9_"]),
            (b"\xff\xfe", ["__", "____", "U___fffd__fffd_"]),
        ];
        for (name, expected) in cases {
            let escaped = [0, 3, 4].map(|index: usize| OTHERS[index].escape(name).into_owned());
            assert_eq!(escaped.map(|name| String::from_utf8(name).unwrap()), expected);
        }
    }
}
