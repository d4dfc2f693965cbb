//! Passwords, tokens and users as operators give them. No error shows any part of one.

use std::path::Path;

use anyhow::{Context, bail};

use crate::error::BadInput;
use crate::file;
use crate::text;

/// The characters that a secret may have, by where a request carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretKind {
    /// Printable ASCII without spaces (RFC 6750).
    Token,
    /// Anything but control characters (RFC 7617).
    Password,
    /// The value of a header, such as `Basic …`: printable ASCII.
    Header,
}

/// The source of a secret: a file, or a flag or variable with the secret itself.
#[derive(Clone, Copy)]
pub(crate) struct Secret<'a> {
    pub(crate) kind: SecretKind,
    /// The flag of a file has `-file` after it.
    pub(crate) flag: &'static str,
    /// The variable of the flag.
    pub(crate) variable: &'static str,
    /// Takes precedence.
    pub(crate) file: Option<&'a Path>,
    pub(crate) given: Option<&'a str>,
}

impl Secret<'_> {
    /// Returns the secret without the white space around it; `None` if there is no source.
    ///
    /// # Errors
    /// [`BadInput`] with the flag: the file cannot be read, or the secret is empty or has a character that a request cannot
    /// carry.
    pub(crate) fn read(self) -> anyhow::Result<Option<String>> {
        let (source, text) = match (self.file, self.given) {
            (Some(path), _) => {
                let source = format!("{}-file {}", self.flag, text::path(path));
                let text = file::read_text(path).with_context(|| BadInput(source.clone()))?;
                (source, text)
            }
            (None, Some(given)) => (format!("{} ({})", self.flag, self.variable), given.to_owned()),
            (None, None) => return Ok(None),
        };
        let secret = text.trim();
        if let Some(found) = self.kind.fault(secret) {
            let expected = self.kind.expected();
            bail!(BadInput(format!("{source}: found {found}, expected {expected}")));
        }
        Ok(Some(secret.to_owned()))
    }
}

impl SecretKind {
    /// Describes the first fault without a part of the secret.
    fn fault(self, secret: &str) -> Option<&'static str> {
        if secret.is_empty() {
            return Some("nothing");
        }
        secret.chars().find_map(|char| match char {
            '\n' | '\r' => Some("a line break inside"),
            char if char.is_control() => Some("a control character"),
            '\u{feff}' => Some("a byte order mark"),
            ' ' if self == Self::Token => Some("a space inside"),
            char if self != Self::Password && !char.is_ascii() => Some("a character that is not ASCII"),
            _ => None,
        })
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Token => "the token alone, in one line of ASCII; set it, or leave out the option",
            Self::Password => "the password alone, in one line; set it, or leave out the option",
            Self::Header => {
                "the value of the header alone, in one line of ASCII such as Basic …; set it, or leave out the option"
            }
        }
    }
}

/// Checks the user of basic authentication.
///
/// # Errors
/// [`BadInput`] with the flag. It shows no part of the user, because a password may follow the colon.
pub(crate) fn check_user(flag: &str, user: &str) -> anyhow::Result<()> {
    let found = match user {
        _ if user.trim().is_empty() => "nothing",
        _ if user.contains(':') => "a colon, which would end the name (RFC 7617)",
        _ if user.contains(char::is_control) => "a control character",
        _ => return Ok(()),
    };
    let expected = "a name without a colon; the password has options of its own";
    bail!(BadInput(format!("{flag}: found {found}, expected {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_shows_a_secret() {
        use SecretKind::{Header, Password, Token};
        for (kind, text, found) in [
            (Token, "", "nothing"),
            (Token, " \n", "nothing"),
            (Password, "\n", "nothing"),
            (Token, "s3cret\ns3cret", "a line break"),
            (Password, "s3cret\rs3cret", "a line break"),
            (Header, "Basic s3cret\nX: s3cret", "a line break"),
            (Token, "s3cret s3cret", "a space"),
            (Token, "s3cret\u{e9}", "not ASCII"),
            (Password, "s3cret\0", "a control character"),
            (Header, "Basic s3cret\u{7f}", "a control character"),
            (Password, "\u{feff}s3cret", "a byte order mark"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            std::fs::write(&path, text).unwrap();
            for (file, given, source) in [
                (Some(&*path), None, format!("--token-file {}: ", path.display())),
                (None, Some(text), "--token (TOKEN): ".to_owned()),
            ] {
                let error =
                    Secret { kind, flag: "--token", variable: "TOKEN", file, given }.read().unwrap_err();
                let message = format!("{error:#}");
                assert!(error.is::<BadInput>() && message.starts_with(&source), "{message}");
                assert!(message.contains(found) && !message.contains("s3cret"), "{text:?}: {message}");
            }
        }
    }

    #[test]
    fn accepts_what_a_request_can_carry() {
        use SecretKind::{Header, Password, Token};
        for (kind, text) in [
            (Token, "a-b.c_d~e+f/g=="),
            (Password, "a: b\u{e9}\u{1f980}"),
            (Header, "Basic YTpi"),
            (Token, " a\r\n"),
        ] {
            let read = Secret { kind, flag: "--token", variable: "TOKEN", file: None, given: Some(text) }
                .read()
                .unwrap();
            assert_eq!(read.as_deref(), Some(text.trim()));
        }
        assert_eq!(
            Secret { kind: Token, flag: "--token", variable: "TOKEN", file: None, given: None }
                .read()
                .unwrap(),
            None
        );
    }

    #[test]
    fn users() {
        check_user("--user", "o\u{e9} ps@example").unwrap();
        for user in ["", " ", "ops:s3cret", ":", "ops\n", "ops\0"] {
            let error = check_user("--user", user).unwrap_err().to_string();
            assert!(error.starts_with("--user: found ") && !error.contains("s3cret"), "{error}");
        }
    }
}
