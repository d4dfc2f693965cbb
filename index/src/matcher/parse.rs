//! The parser of series selectors: `name{label="value", "quoted.label"=~'value',}` and `{"quoted.name"}`.

use super::{Matcher, Op, SelectorError, metric};

/// Parses a selector; the whole text must be one.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, SelectorError> {
    let mut parser = Parser { text, at: 0 };
    let mut matchers = Vec::new();
    parser.spaces();
    let name = parser.name(|char| char == ':');
    if !name.is_empty() {
        matchers.push(metric(name.to_owned()).map_err(|reason| parser.error(reason))?);
    } else if parser.peek() != Some('{') {
        return Err(parser.error("expected the name of a metric or `{`"));
    }
    parser.spaces();
    if parser.take('{') {
        parser.braces(&mut matchers)?;
    }
    parser.spaces();
    match parser.peek() {
        None => Ok(matchers),
        Some(char) => Err(parser.error(format!("expected the end, found {char:?}"))),
    }
}

/// Returns whether the name of a label needs no quotes.
pub(super) fn is_name(name: &str) -> bool {
    let mut parser = Parser { text: name, at: 0 };
    !parser.name(|_| false).is_empty() && parser.peek().is_none()
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn braces(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), SelectorError> {
        loop {
            self.spaces();
            if self.take('}') {
                return Ok(());
            }
            matchers.push(self.matcher()?);
            self.spaces();
            if !self.take(',') && self.peek() != Some('}') {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, SelectorError> {
        let start = self.at;
        let quoted = matches!(self.peek(), Some('"' | '\'' | '`'));
        let name = if quoted { self.string()? } else { self.name(|_| false).to_owned() };
        if name.is_empty() {
            return Err(Self::error_at(start, "expected the name of a label"));
        }
        self.spaces();
        if quoted && matches!(self.peek(), Some(',' | '}')) {
            return metric(name).map_err(|reason| Self::error_at(start, reason));
        }
        let op = self.op()?;
        self.spaces();
        let start = self.at;
        let value = self.string()?;
        Matcher::new(name, op, value).map_err(|reason| Self::error_at(start, reason))
    }

    fn op(&mut self) -> Result<Op, SelectorError> {
        for (text, op) in [("=~", Op::Match), ("!~", Op::NotMatch), ("!=", Op::NotEqual), ("=", Op::Equal)] {
            if self.rest().starts_with(text) {
                self.at += text.len();
                return Ok(op);
            }
        }
        Err(self.error("expected `=`, `!=`, `=~` or `!~`"))
    }

    /// Takes a string with one of the three quotes; between backquotes nothing is escaped.
    fn string(&mut self) -> Result<String, SelectorError> {
        let quote = self.peek().filter(|char| matches!(char, '"' | '\'' | '`'));
        let quote = quote.ok_or_else(|| self.error("expected a text in quotes"))?;
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match self.next() {
                None => return Err(Self::error_at(start, "the text has no closing quote")),
                Some(char) if char == quote => break,
                Some('\\') if quote != '`' => self.escape(quote, &mut bytes)?,
                Some('\n') if quote != '`' => {
                    return Err(Self::error_at(start, "a line break in a text: write `\\n`"));
                }
                Some(char) => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        String::from_utf8(bytes).map_err(|_| Self::error_at(start, "the escapes of the text are not UTF-8"))
    }

    /// Takes what follows a backslash, as in Go.
    fn escape(&mut self, quote: char, into: &mut Vec<u8>) -> Result<(), SelectorError> {
        let start = self.at - 1;
        let unknown = || Self::error_at(start, "unknown escape; a backslash is `\\\\`");
        let char = self.next().ok_or_else(unknown)?;
        let plain = match char {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 0x0b,
            '\\' => b'\\',
            char if char == quote => quote as u8,
            'x' => u8::try_from(self.digits(2, 16).ok_or_else(unknown)?).map_err(|_| unknown())?,
            '0'..='7' => {
                self.at -= 1;
                u8::try_from(self.digits(3, 8).ok_or_else(unknown)?).map_err(|_| unknown())?
            }
            'u' | 'U' => {
                let count = if char == 'u' { 4 } else { 8 };
                let char = self.digits(count, 16).and_then(char::from_u32).ok_or_else(unknown)?;
                into.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(unknown()),
        };
        into.push(plain);
        Ok(())
    }

    fn digits(&mut self, count: usize, radix: u32) -> Option<u32> {
        let digits =
            self.rest().get(..count).filter(|digits| digits.chars().all(|char| char.is_digit(radix)))?;
        self.at += count;
        u32::from_str_radix(digits, radix).ok()
    }

    /// Takes letters, digits and underscores, and the other characters that are accepted; empty if there is no name.
    fn name(&mut self, other: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let starts = |char: char| char.is_ascii_alphabetic() || char == '_' || other(char);
        if !rest.starts_with(starts) {
            return "";
        }
        let end = rest.find(|char: char| !(starts(char) || char.is_ascii_digit())).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn take(&mut self, char: char) -> bool {
        let found = self.peek() == Some(char);
        self.at += if found { char.len_utf8() } else { 0 };
        found
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, reason: impl Into<String>) -> SelectorError {
        Self::error_at(self.at, reason)
    }

    fn error_at(at: usize, reason: impl Into<String>) -> SelectorError {
        SelectorError { at, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Selector;
    use super::*;

    fn parsed(text: &str) -> Vec<(String, Op, String)> {
        let matchers = selector(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        matchers.iter().map(|matcher| (matcher.name().into(), matcher.op(), matcher.value().into())).collect()
    }

    #[test]
    fn reads_each_form() {
        let name = |name: &str| ("__name__".to_owned(), Op::Equal, name.to_owned());
        let job = |op, value: &str| ("job".to_owned(), op, value.to_owned());
        assert_eq!(parsed("node:up_total"), [name("node:up_total")]);
        assert_eq!(parsed(" up { } "), [name("up")]);
        assert_eq!(parsed(r#"up{job="a",}"#), [name("up"), job(Op::Equal, "a")]);
        assert_eq!(
            parsed(r#"{ job != 'a"' , job =~ `\d`, job!~"" }"#),
            [job(Op::NotEqual, "a\""), job(Op::Match, r"\d"), job(Op::NotMatch, "")]
        );
        assert_eq!(parsed(r#"{"a.b", 'c.d'="e"}"#), [name("a.b"), ("c.d".into(), Op::Equal, "e".into())]);
        assert_eq!(
            parsed(r#"{job="\\\n\t\"\x41\101\u00e9\U0001F980\xc3\xa9"}"#),
            [job(Op::Equal, "\\\n\t\"AAé🦀é")]
        );
    }

    #[test]
    fn says_where_a_text_is_wrong() {
        for (text, at) in [
            ("", 0),
            ("1up", 0),
            ("up down", 3),
            ("up{", 3),
            ("up{job}", 6),
            ("up{job=a}", 7),
            (r#"up{job="a}"#, 7),
            (r#"up{job="a" env="b"}"#, 11),
            (r#"up{job=="a"}"#, 7),
            (r#"up{job="\q"}"#, 8),
            (r#"up{job="\xff"}"#, 7),
            (r#"up{job=~"("}"#, 8),
            (r#"up{,}"#, 3),
            (r#"up{""="a"}"#, 3),
            ("up{é=\"a\"}", 3),
            ("up}", 2),
        ] {
            let error = selector(text).expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    #[test]
    fn no_text_breaks_the_parser_and_what_it_reads_can_be_written() {
        arbtest::arbtest(|u| {
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=12)? {
                text += u.choose(&[
                    "up", "{", "}", "\"", "'", "`", "=", "!=", "=~", "!~", ",", "\\", "x", "7", "é", " ",
                    "\n", "job",
                ])?;
            }
            if let Ok(selector) = text.parse::<Selector>() {
                assert_eq!(selector.to_string().parse::<Selector>().as_ref(), Ok(&selector), "{text:?}");
            }
            Ok(())
        })
        .budget_ms(300);
    }
}
