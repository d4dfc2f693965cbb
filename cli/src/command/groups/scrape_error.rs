//! Parses the answer of a poisoned gateway at `/metrics`. The format is that of Go's client library
//! (prometheus.Gatherers). A metric is in protobuf's text format, which escapes bytes that are not UTF-8, so
//! unlike the gateway's API it preserves them.

use std::collections::BTreeMap;

use super::culprits::go_text;
use crate::reason::Code;

/// The exact bytes of labels.
pub(super) type Bytes = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScrapeError {
    /// U+FFFD replaces each byte that is not UTF-8, as in the API.
    pub(super) family: String,
    /// All labels of the metric. `None`: the error is about the whole family.
    pub(super) labels: Option<Bytes>,
    pub(super) reason: String,
}

impl ScrapeError {
    pub(super) fn code(&self) -> Code {
        let reason = self.reason.as_str();
        match reason {
            _ if reason.starts_with("collides") || reason.starts_with("has help ") => Code::NameConflict,
            _ if reason.starts_with("is not a ") || reason.starts_with("has type ") => Code::TypeConflict,
            _ if reason.contains("collected before") => Code::SeriesConflict,
            _ if reason.contains("is not utf8") => Code::NotUtf8,
            _ => Code::InvalidMetric,
        }
    }
}

/// Returns the first error verbatim.
pub(super) fn first_line(answer: &str) -> &str {
    let mut lines = answer.lines().map(|line| line.trim_start_matches("* ")).filter(|line| !is_heading(line));
    lines.next().unwrap_or(answer)
}

fn is_heading(line: &str) -> bool {
    line.trim().is_empty() || line.ends_with("occurred:") || line.starts_with("An error has occurred")
}

/// Returns all errors that are understood, and skips the others.
pub(super) fn parse(answer: &str) -> Vec<ScrapeError> {
    answer.lines().filter_map(|line| parse_line(line.trim_start_matches("* "))).collect()
}

fn parse_line(line: &str) -> Option<ScrapeError> {
    if let Some(rest) = line.strip_prefix("collected metric ").filter(|rest| rest.starts_with('"')) {
        let (family, rest) = string(rest)?;
        let (labels, rest) = labels(rest.trim_start().strip_prefix('{')?)?;
        return Some(ScrapeError { family: go_text(&family), labels: Some(labels), reason: rest.to_owned() });
    }
    if let Some(rest) = line.strip_prefix("gathered metric family ") {
        let (family, reason) = rest.split_once(' ')?;
        return Some(ScrapeError { family: family.to_owned(), labels: None, reason: reason.to_owned() });
    }
    // `collected metric named "a_count" collides with …`, `collected histogram named "a" collides with …`
    let (_, rest) = line.strip_prefix("collected ")?.split_once("named ")?;
    let (family, reason) = string(rest)?;
    Some(ScrapeError { family: go_text(&family), labels: None, reason: reason.trim_start().to_owned() })
}

/// Parses the labels of a metric; returns the text after its closing brace, too.
fn labels(text: &str) -> Option<(Bytes, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text.trim_start();
    while let Some(pair) = rest.strip_prefix("label:{") {
        // The number of spaces between fields changes from build to build.
        let (name, more) = string(pair.trim_start().strip_prefix("name:")?)?;
        let (value, more) = string(more.trim_start().strip_prefix("value:")?)?;
        // The gateway sets the first of two labels with the same name.
        labels.entry(name).or_insert(value);
        rest = more.trim_start().strip_prefix('}')?.trim_start();
    }
    Some((labels, skip_message(rest)?))
}

/// Returns the text after the brace that closes a message.
fn skip_message(mut text: &str) -> Option<&str> {
    let mut depth = 1;
    loop {
        let at = text.find(['{', '}', '"'])?;
        match text.as_bytes()[at] {
            b'"' => text = string(&text[at..])?.1,
            brace => {
                depth += if brace == b'{' { 1 } else { -1 };
                text = &text[at + 1..];
            }
        }
        if depth == 0 {
            return Some(text.trim());
        }
    }
}

/// Parses a quoted string; returns the text after it, too.
pub(super) fn string(text: &str) -> Option<(Vec<u8>, &str)> {
    let mut rest = text.trim_start().strip_prefix('"')?;
    let mut bytes = Vec::new();
    loop {
        let at = rest.find(['"', '\\'])?;
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        if rest.as_bytes()[at] == b'"' {
            return Some((bytes, &rest[at + 1..]));
        }
        rest = unescape(&rest[at + 1..], &mut bytes)?;
    }
}

/// Decodes the escape sequence after a backslash into `bytes`; returns the text after it.
fn unescape<'t>(text: &'t str, bytes: &mut Vec<u8>) -> Option<&'t str> {
    let hex = |from: usize, digits: usize| u32::from_str_radix(text.get(from..from + digits)?, 16).ok();
    let kind = *text.as_bytes().first()?;
    let length = match kind {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\\' => {
            bytes.push(match kind {
                b'a' => 0x07,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                other => other,
            });
            1
        }
        b'x' => {
            bytes.push(u8::try_from(hex(1, 2)?).ok()?);
            3
        }
        b'u' | b'U' => {
            let digits = if kind == b'u' { 4 } else { 8 };
            bytes.extend(char::from_u32(hex(1, digits)?)?.to_string().as_bytes());
            1 + digits
        }
        _ => return None,
    };
    text.get(length..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> ScrapeError {
        let all = parse(&format!("An error has occurred while serving metrics:\n\n{line}\n"));
        assert_eq!(all.len(), 1, "{line}");
        all.into_iter().next().unwrap()
    }

    /// The line is from a real Pushgateway 1.11.3.
    #[test]
    fn decodes_exact_bytes_of_labels() {
        let error = one(
            r#"* collected metric "m" { label:{name:"instance"  value:""}  label:{name:"job" value:"b\n\t\"\\\x7f\u0085\xff\x01}é"} gauge:{value:2}} has a label named "job" whose value is not utf8: "b\n""#,
        );
        assert_eq!(error.family, "m");
        assert_eq!(error.code(), Code::NotUtf8);
        let labels = error.labels.unwrap();
        assert_eq!(labels[&b"instance"[..]], b"");
        assert_eq!(labels[&b"job"[..]], b"b\n\t\"\\\x7f\xc2\x85\xff\x01}\xc3\xa9");
    }

    #[test]
    fn parses_errors_about_a_whole_family() {
        let plain = |family: &str, reason: &str| ScrapeError {
            family: family.to_owned(),
            labels: None,
            reason: reason.to_owned(),
        };
        assert_eq!(
            one("gathered metric family go_goroutines has type COUNTER but should have GAUGE"),
            plain("go_goroutines", "has type COUNTER but should have GAUGE")
        );
        let text =
            r#"collected metric named "m_count" collides with previously collected histogram named "m""#;
        let reason = r#"collides with previously collected histogram named "m""#;
        assert_eq!(one(text), plain("m_count", reason));
        assert_eq!(first_line(&format!("An error has occurred while serving metrics:\n\n{text}\n")), text);
    }

    #[test]
    fn skips_truncated_and_unknown_errors() {
        let line = r#"collected metric "m" { label:{name:"job" value:"\xff"} gauge:{value:1}} is odd"#;
        assert_eq!(one(line).reason, "is odd");
        for end in 0..line.len() - "} is odd".len() {
            assert_eq!(parse(&line[..end]), [], "{}", &line[..end]);
        }
        assert_eq!(parse("2 error(s) occurred:\n* something else\n"), []);
    }
}
