//! The search field: terms that must all match the labels of a group.

use crate::gateway::api::Labels;

/// Terms, separated by spaces; quotes keep a term together. `name=value` and `name="value"` match a label with exactly this
/// value, every other term a part of a name or value, in any case.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Search(Vec<Term>);

#[derive(Debug, PartialEq, Eq)]
enum Term {
    Label(String, String),
    /// In lower case.
    Part(String),
}

impl Search {
    pub(super) fn parse(text: &str) -> Self {
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (term, after) = Term::parse(rest);
            terms.extend(term);
            rest = after.trim_start();
        }
        Self(terms)
    }

    pub(super) fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|term| term.matches(labels))
    }
}

impl Term {
    /// Parses the first term of a text that starts with one, and returns the rest.
    fn parse(text: &str) -> (Option<Self>, &str) {
        let end = text.find(|char: char| char.is_whitespace() || "\"=".contains(char)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if let Some(value) = rest.strip_prefix('=').filter(|_| !name.is_empty()) {
            let (value, rest) = word(value);
            return (Some(Self::Label(name.to_owned(), value)), rest);
        }
        let (part, rest) = word(text);
        ((!part.is_empty()).then(|| Self::Part(part.to_lowercase())), rest)
    }

    fn matches(&self, labels: &Labels) -> bool {
        match self {
            // As in Prometheus, an absent label has an empty value.
            Self::Label(name, value) => labels.get(name).map_or("", String::as_str) == value,
            Self::Part(part) => {
                labels.iter().any(|(name, value)| contains(name, part) || contains(value, part))
            }
        }
    }
}

/// Splits off a quoted text, or the text before the next space. A quote that is not closed ends with the text.
fn word(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut word = String::new();
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => word.extend(chars.next()),
            other => word.push(other),
        }
    }
    (word, chars.as_str())
}

/// Returns whether a text contains a part that is in lower case. Most texts are ASCII, and need no copy.
fn contains(text: &str, part: &str) -> bool {
    match text.is_ascii() && part.is_ascii() {
        true => {
            let (text, part) = (text.as_bytes(), part.as_bytes());
            part.len() <= text.len()
                && text.windows(part.len().max(1)).any(|window| window.eq_ignore_ascii_case(part))
        }
        false => text.to_lowercase().contains(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(search: &str) -> bool {
        let labels =
            [("job", "Backup DB"), ("instance", "10.0.0.1:9091"), ("quote", "a\"b"), ("város", "Győr")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Search::parse(search).matches(&labels)
    }

    #[test]
    fn every_term_must_match() {
        for search in [
            "",
            "  ",
            "backup",
            "db",
            "JOB",
            "10.0.0.1",
            "instance=10.0.0.1:9091",
            "job=\"Backup DB\"",
            "\"backup db\"",
            "backup instance=10.0.0.1:9091 \t job",
            "quote=\"a\\\"b\"",
            "győr",
            "GYŐR",
            "\"",
            "absent=",
            "absent=\"\"",
            "a\"b",
        ] {
            assert!(matches(search), "{search}");
        }
        for search in [
            "backups",
            "job=Backup",
            "job=\"backup db\"",
            "instance=10.0.0.1",
            "backup x",
            "\"db backup\"",
            "absent=x",
            "=x",
            "job=",
        ] {
            assert!(!matches(search), "{search}");
        }
    }
}
