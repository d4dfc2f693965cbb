//! Text that is not ours, made safe for a terminal, a log and JSON.
//!
//! Names, labels and error messages of clients, gateways, Consul and files can contain anything: escape sequences that
//! change what a terminal shows or does, line breaks that forge a line, invisible characters and such that reverse the
//! order of others. [`crate::output`] escapes them in all that it prints; text that becomes part of a line of ours is
//! escaped by [`line()`] first, because a line break inside is not one of ours.

use std::borrow::Cow;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// Escapes everything that does not show as itself, line breaks and tabs included: `\u{1b}`, `\n`.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(text, shows_as_itself, visibly)
}

/// As [`line()`], but keeps line breaks.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    let shows = |char| char == '\n' || shows_as_itself(char);
    escape(text, shows, visibly)
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Run<'t> {
    /// Every character shows as itself.
    Plain(&'t str),
    /// Escapes as in [`line()`], of characters that do not.
    Escaped(String),
}

/// Splits a text, for a reader that marks the escapes; [`line()`] does not distinguish them from a text that looks the same.
pub(crate) fn runs(mut text: &str) -> impl Iterator<Item = Run<'_>> {
    std::iter::from_fn(move || {
        let plain = shows_as_itself(text.chars().next()?);
        let end = text.find(|char| shows_as_itself(char) != plain).unwrap_or(text.len());
        let (run, rest) = text.split_at(end);
        text = rest;
        Some(if plain { Run::Plain(run) } else { Run::Escaped(line(run).into_owned()) })
    })
}

/// Leaves out the middle of a long text: a label of a client can have megabytes, which no terminal and no reader takes. The
/// start and the end stay, for they have the name and the accepted values.
pub(crate) fn short(text: &str) -> Cow<'_, str> {
    const PART: usize = 110;
    let parts = || Some((text.char_indices().nth(PART)?.0, text.char_indices().nth_back(PART - 1)?.0));
    match parts() {
        Some((start, end)) if start < end => Cow::Owned(format!("{}…{}", &text[..start], &text[end..])),
        _ => Cow::Borrowed(text),
    }
}

/// Quotes for a POSIX shell.
pub(crate) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// As [`line()`], for bytes: those that are not UTF-8 as `\xff`.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text += &line(chunk.valid());
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    text
}

/// As [`bytes`], for the name of a file.
pub(crate) fn path(path: impl AsRef<Path>) -> String {
    bytes(path.as_ref().as_os_str().as_bytes())
}

/// Escapes in JSON what [`line()`] escapes: `\u202e`. The values stay the same, because such characters only appear inside
/// strings. JSON itself requires escapes only below U+0020.
pub(crate) fn json(json: &str) -> Cow<'_, str> {
    escape(
        json,
        |char| char == '\n' || shows_as_itself(char),
        |escaped, char| {
            for unit in char.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        },
    )
}

/// As [`lines`], and replaces users and passwords in URLs and in front of addresses: for errors, warnings and logs, where
/// other programs' texts may repeat them. Everything that we know to be a URL is stripped before, as a URL
/// (`http::ServerUrl`).
pub(crate) fn error(text: &str) -> String {
    static CREDENTIALS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"(?P<scheme>[[:alpha:]][[:alnum:]+.-]*://)[^\s/?\#"'<>]*@|[^\s/?\#"'<>@:]+:[^\s/?\#"'<>@]+@"#,
        )
        .ok()
    });
    let hidden = CREDENTIALS.as_ref().map(|credentials| credentials.replace_all(text, "${scheme}***@"));
    lines(&hidden.unwrap_or(Cow::Borrowed(text))).into_owned()
}

fn visibly(escaped: &mut String, char: char) {
    match char {
        '\t' | '\n' | '\r' => escaped.extend(char.escape_default()),
        _ => escaped.extend(char.escape_unicode()),
    }
}

fn escape(text: &str, shows: impl Fn(char) -> bool, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if text.chars().all(&shows) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if shows(char) {
            escaped.push(char);
        } else {
            escape(&mut escaped, char);
        }
    }
    Cow::Owned(escaped)
}

/// Returns whether a character is visible, or the space, and affects no other one. Combining marks are visible.
fn shows_as_itself(char: char) -> bool {
    if char.is_ascii() {
        return char == ' ' || char.is_ascii_graphic();
    }
    // Unicode's Default_Ignorable_Code_Point has these besides the format characters, which the standard library knows.
    let invisible = matches!(char,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}');
    // The standard library escapes marks at the beginning of a text only, so a letter comes first.
    let mut after_a_letter = [b'a', 0, 0, 0, 0];
    let length = 1 + char.encode_utf8(&mut after_a_letter[1..]).len();
    let text = std::str::from_utf8(&after_a_letter[..length]).unwrap_or_default();
    !invisible && text.escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: [&str; 24] = [
        "\u{1b}[31m",
        "\u{1b}]0;title\u{7}",
        "\u{9b}2J",
        "\r",
        "\n",
        "\t",
        "\u{8}",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{2029}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "\u{ad}",
        "\u{3164}",
        "\u{e0041}",
        "\u{fe0f}",
        "\u{a0}",
        "\u{e000}",
        "\u{61c}",
    ];

    #[test]
    fn escapes_what_does_not_show_as_itself() {
        for nasty in NASTY {
            let text = format!("a{nasty}b");
            let escaped = line(&text);
            assert!(escaped.starts_with("a\\") && escaped.ends_with('b'), "{escaped}");
            assert!(escaped.chars().all(shows_as_itself), "{escaped:?}");
            assert_eq!(lines(&text) == text, nasty == "\n");
        }
        for plain in ["", "plain text", r#"a="b\n" 'c'"#, "für", "日本語", "e\u{301}", "हिन्दी", "🦀", "→ –"]
        {
            assert!(matches!(line(plain), Cow::Borrowed(_)), "{plain} {}", line(plain));
        }
        assert_eq!(line("a\u{1b}[1m\n\u{202e}"), r"a\u{1b}[1m\n\u{202e}");
    }

    #[test]
    fn a_long_text_loses_its_middle() {
        for text in ["", "a", &"é".repeat(220)] {
            assert_eq!(short(text), text);
        }
        let long = format!("{}{}", "é".repeat(1_000_000), "z".repeat(110));
        assert_eq!(short(&long), format!("{}…{}", "é".repeat(110), "z".repeat(110)));
    }

    #[test]
    fn escapes_bytes_that_are_not_utf8() {
        assert_eq!(bytes(b"/a\xff\xc3\xa9\xed\xa0\x80\x1b"), r"/a\xffé\xed\xa0\x80\u{1b}");
        assert_eq!(path("/tmp/a\nb"), r"/tmp/a\nb");
    }

    #[test]
    fn errors_show_no_credentials() {
        for (text, shown) in [
            ("a http://ops:s3cret@host:1/x b", "a http://***@host:1/x b"),
            ("'https://s3cret@host'\n", "'https://***@host'\n"),
            ("http://ops:s3@cret@host", "http://***@host"),
            ("ops:s3cret@10.0.0.1:9091 is", "***@10.0.0.1:9091 is"),
            ("http://10.0.0.1:9091/metrics/job@base64/YQ", "http://10.0.0.1:9091/metrics/job@base64/YQ"),
            ("mail@example.org: no", "mail@example.org: no"),
        ] {
            assert_eq!(error(text), shown);
        }
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        for nasty in NASTY {
            let value = serde_json::json!({nasty: [nasty, format!("\\{nasty}\"")]});
            let escaped = json(&value.to_string()).into_owned();
            assert!(escaped.is_ascii(), "{escaped}");
            assert!(escaped.chars().all(shows_as_itself), "{escaped}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
    }
}
