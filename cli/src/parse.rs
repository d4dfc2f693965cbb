//! JSON and YAML of others. An error names the field, the reason, and the line if there is one.

use std::fmt;
use std::io::{self, Read};
use std::marker::PhantomData;

use anyhow::anyhow;
use serde::Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::Value;
use serde_path_to_error::{Path, Track};

use crate::{memory, text};

/// Longest text in an answer, in bytes, and most levels of nesting.
const MAX_TEXT: usize = 16 << 20;
const MAX_DEPTH: usize = 128;

/// The part of an answer that a type keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Every value, perhaps.
    All,
    /// Only what it charges itself ([`memory::charge`]).
    Charged,
}

/// Parses JSON.
///
/// # Errors
/// The path of the field and the reason: `registrations[2].port: invalid type: …`.
pub(crate) fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.starts_with('\u{feff}') {
        return Err("found a byte order mark, expected JSON; save the file as UTF-8 without it".to_owned());
    }
    if text.trim().is_empty() {
        return Err("found nothing, expected JSON".to_owned());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = at("", &mut deserializer)?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(parsed)
}

/// As [`json`], for an answer of `whose`, which can be hundreds of megabytes, and a value that is not built from its type
/// alone.
///
/// # Errors
/// "The response of" and `whose` with the error of the stream; that it needs too much memory, or "not the response of" and `whose` with the error of [`json`].
pub(crate) fn json_stream<'de, S: DeserializeSeed<'de>>(
    stream: impl Read,
    whose: &str,
    keeps: Keeps,
    seed: S,
) -> anyhow::Result<S::Value> {
    let mut deserializer = serde_json::Deserializer::from_reader(Metered::new(stream, keeps));
    let mut track = Track::new();
    let not_theirs = |error: String| match memory::exceeded() {
        Some(full) => full.into(),
        None => anyhow!("not the response of {whose}: {error}"),
    };
    // Without the line and the column. The cause stays, because callers ask for its kind.
    let broken = |error: serde_json::Error| {
        anyhow::Error::from(io::Error::from(error)).context(format!("the response of {whose}"))
    };
    let parsed = seed.deserialize(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track));
    let parsed = parsed.map_err(|error| match error.is_io() {
        true => broken(error),
        false => not_theirs(message("", &track.path(), error)),
    })?;
    let end = deserializer.end();
    end.map_err(|error| if error.is_io() { broken(error) } else { not_theirs(error.to_string()) })?;
    Ok(parsed)
}

/// JSON whose structure is checked before a parser allocates memory for it.
struct Metered<R> {
    stream: R,
    keeps: Keeps,
    depth: usize,
    /// Bytes of the current text; `None` outside of one.
    text: Option<usize>,
    is_escaped: bool,
}

impl<R: Read> Metered<R> {
    fn new(stream: R, keeps: Keeps) -> Self {
        Self { stream, keeps, depth: 0, text: None, is_escaped: false }
    }

    fn check(&mut self, byte: u8) -> io::Result<()> {
        match (self.text, byte) {
            (Some(_), _) if self.is_escaped => self.is_escaped = false,
            (Some(_), b'\\') => self.is_escaped = true,
            (Some(_), b'"') => self.text = None,
            (Some(length), _) if length >= MAX_TEXT => {
                return Err(io::Error::other(format!("found a text of more than {MAX_TEXT} bytes")));
            }
            (Some(length), _) => self.text = Some(length + 1),
            (None, b'"') => self.text = Some(0),
            (None, b'[' | b'{') if self.depth >= MAX_DEPTH => {
                return Err(io::Error::other(format!("found more than {MAX_DEPTH} levels of nesting")));
            }
            (None, b'[' | b'{') => self.depth += 1,
            (None, b']' | b'}') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        let mut kept = read;
        for &byte in &buffer[..read] {
            if self.text.is_none() {
                kept += memory::of_json(byte);
            }
            self.check(byte)?;
        }
        if self.keeps == Keeps::All {
            memory::charge(kept).map_err(io::Error::other)?;
        }
        Ok(read)
    }
}

/// As [`json`], for a part of a document, which is at this path in it.
pub(crate) fn value<T: DeserializeOwned>(path: &str, value: Value) -> Result<T, String> {
    at(path, value)
}

/// Parses YAML.
///
/// # Errors
/// As [`json`].
pub(crate) fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    yaml_seed(text, PhantomData)
}

/// As [`yaml`], for a value that is not built from its type alone.
pub(crate) fn yaml_seed<'de, S: DeserializeSeed<'de>>(text: &'de str, seed: S) -> Result<S::Value, String> {
    let mut field = None;
    // A snippet could show a password on the line before.
    let options = serde_saphyr::options! { with_snippet: false };
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        let mut track = Track::new();
        let parsed = seed.deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track));
        parsed.inspect_err(|_| field = Some(track.path()))
    });
    parsed.map_err(|error| match field {
        Some(field) => message("", &field, error),
        None if error.to_string().contains("multiple YAML documents") => {
            "found a second YAML document (---), expected one".to_owned()
        }
        None => plain(&error.to_string()),
    })
}

fn at<'de, T, D>(path: &str, deserializer: D) -> Result<T, String>
where
    T: DeserializeOwned,
    D: Deserializer<'de, Error: fmt::Display>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| message(path, error.path(), error.inner()))
}

fn message(start: &str, path: &Path, reason: impl fmt::Display) -> String {
    let path = path.to_string();
    let path = path.trim_end_matches(['.', '?']);
    let dot = if start.is_empty() || path.is_empty() || path.starts_with('[') { "" } else { "." };
    let reason = text::short(&plain(&reason.to_string())).into_owned();
    match (start, path) {
        ("", "") => reason,
        _ => format!("{}: {reason}", text::short(&format!("{start}{dot}{path}"))),
    }
}

/// Replaces words that are for programmers.
fn plain(reason: &str) -> String {
    if reason.starts_with("budget breached") {
        return "found more values, aliases or levels than any real file has, expected a plain file"
            .to_owned();
    }
    let mut text = reason.to_owned();
    for (of_rust, name) in [
        // Texts of serde-saphyr.
        ("expected mapping start", "found something else, expected an object"),
        ("expected sequence start", "found something else, expected a list"),
        ("expected string scalar", "found something else, expected text"),
        ("invalid floating point", "found no number, expected a number"),
        ("invalid u16", "found no such number, expected a whole number of 0 to 65535"),
        (" rejected by the configured policy", ", expected a finite number"),
        (", set DuplicateKeyPolicy in Options if acceptable", ", expected each only once"),
        // Texts of serde.
        ("expected i64", "expected a whole number"),
        ("expected u64", "expected a whole number of 0 or more"),
        ("expected u16", "expected a whole number of 0 to 65535"),
        ("expected f64", "expected a number"),
        ("expected a map", "expected an object"),
        ("expected a sequence", "expected a list"),
    ] {
        text = text.replace(of_rust, name);
    }
    match text.split_once("expected struct ") {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|char: char| char.is_alphanumeric());
            format!("{before}expected an object{rest}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        #[serde(rename = "list", default)]
        _list: Vec<Entry>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        #[serde(rename = "port")]
        _port: u16,
    }

    #[test]
    fn errors_name_the_field_and_the_reason() {
        for (text, start) in [
            ("", "found nothing, expected JSON"),
            (" \n", "found nothing, expected JSON"),
            ("\u{feff}{}", "found a byte order mark"),
            ("[1", "[0]: invalid type: integer `1`"),
            ("3", "invalid type: integer `3`, expected an object at line 1"),
            (
                r#"{"list": [{"port": 1}, {"port": "1"}]}"#,
                "list[1].port: invalid type: string \"1\", expected a whole",
            ),
            (
                r#"{"list": [{"port": 65536}]}"#,
                "list[0].port: invalid value: integer `65536`, expected a whole",
            ),
            (r#"{"list": [{"prot": 1}]}"#, "list[0].prot: unknown field `prot`, expected `port`"),
            (r#"{"list": [{}]}"#, "list[0]: missing field `port`"),
            (r#"{"list": [{"port": 1}"#, "list: EOF while parsing a list at line 1"),
            (r#"{"list": {}}"#, "list: invalid type: map, expected a list"),
            ("{} {}", "trailing characters at line 1 column 4"),
        ] {
            let error = json::<Document>(text).unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
            let document = PhantomData::<Document>;
            let streamed = json_stream(text.as_bytes(), "a server", Keeps::All, document).unwrap_err();
            let streamed = streamed.to_string();
            assert!(streamed.starts_with("not the response of a server: "), "{streamed}");
        }
        let bomb = (0..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |bomb, n| {
            format!("{bomb}a{}: &a{} [{}]\n", n + 1, n + 1, vec![format!("*a{n}"); 9].join(","))
        });
        for (text, start) in [
            (
                "list: [port: 1, {port: x}]",
                "list[1].port: found no such number, expected a whole number of 0 to",
            ),
            ("list: x", "list: found something else, expected a list at line 1"),
            ("list: []\nlist: []", "duplicate mapping key: list, expected each only once at line 2"),
            ("list: [port: 1\n", "list"),
            ("lst: []", "lst: unknown field"),
            ("--- {}\n--- {}", "found a second YAML document"),
            ("password: s3cret\nlist: {}", "password: unknown field"),
            ("list:\n- {port: 1}\n- {prt: 1}", "list[1].prt: unknown field"),
        ] {
            let error = yaml::<Document>(text).unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
            assert!(!error.contains('\n') && !error.contains("s3cret"), "{error}");
        }
        let error = yaml::<Value>(&bomb).unwrap_err();
        assert!(error.contains("found more values") && !error.contains("budget"), "{error}");
        let long = format!(r#"{{"list": [{{"port": "{}"}}]}}"#, "x".repeat(1_000_000));
        let error = json::<Document>(&long).unwrap_err();
        assert!(error.len() < 400 && error.contains("expected a whole number of 0 to 65535"), "{error}");
        assert_eq!(
            value::<Entry>("a[0]", serde_json::json!({"port": -1})).unwrap_err(),
            "a[0].port: invalid value: integer `-1`, expected a whole number of 0 to 65535"
        );
    }
}
