//! Names of metrics and labels that are not of the form before Prometheus 3, written for scrapers that read no others: the
//! rules of `model.EscapeName` of prometheus/common.

use std::borrow::Cow;
use std::fmt::Write;

/// How such names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escaping {
    /// As they are.
    None,
    Underscores,
    Dots,
    Values,
}

impl Escaping {
    const ALL: [Self; 4] = [Self::None, Self::Underscores, Self::Dots, Self::Values];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|escaping| escaping.name() == name)
    }

    /// Returns the value of the parameter `escaping`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// Escapes a name; one of the old form stays.
    pub(super) fn apply(self, name: &str) -> Cow<'_, str> {
        if self == Self::None || name.is_empty() || is_legacy(name) {
            return Cow::Borrowed(name);
        }
        let mut escaped = String::from(if self == Self::Values { "U__" } else { "" });
        for (at, letter) in name.char_indices() {
            match (self, letter) {
                (Self::Dots | Self::Values, '_') => escaped += "__",
                (Self::Dots, '.') => escaped += "_dot_",
                _ if is_legacy_letter(letter, at) => escaped.push(letter),
                (Self::Dots, _) => escaped += "__",
                // Writing to a text never fails.
                (Self::Values, _) => drop(write!(escaped, "_{:x}_", u32::from(letter))),
                _ => escaped.push('_'),
            }
        }
        Cow::Owned(escaped)
    }
}

/// Returns whether a name has the form that every Prometheus reads; for labels, Go's library allows colons, too.
pub(super) fn is_legacy(name: &str) -> bool {
    !name.is_empty() && name.char_indices().all(|(at, letter)| is_legacy_letter(letter, at))
}

fn is_legacy_letter(letter: char, at: usize) -> bool {
    letter.is_ascii_alphabetic() || letter == '_' || letter == ':' || letter.is_ascii_digit() && at > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected names are those of prometheus/common 0.67.5.
    #[test]
    fn escapes_as_go() {
        let all = |name: &str| Escaping::ALL.map(|escaping| escaping.apply(name).into_owned());
        assert_eq!(all("plain_name:x"), ["plain_name:x"; 4]);
        assert_eq!(
            all("my.odd_näme"),
            ["my.odd_näme", "my_odd_n_me", "my_dot_odd__n__me", "U__my_2e_odd__n_e4_me"]
        );
        assert_eq!(all("1st"), ["1st", "_st", "__st", "U___31_st"]);
    }
}
