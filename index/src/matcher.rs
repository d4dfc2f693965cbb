//! Label matchers and series selectors, with the meaning and the syntax of PromQL.

mod parse;

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use crate::{Labels, METRIC_NAME};

/// Bytes that a compiled regular expression may have, which come from a client.
const REGEX_SIZE: usize = 1 << 20;

/// A condition for the value of one label; a label that is not there has the value `""`.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: Op,
    value: String,
    regex: Option<Regex>,
}

/// The four operators.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`; the expression matches the whole value.
    Match,
    /// `!~`
    NotMatch,
}

/// Matchers of which a series fulfills each: `name{label="value",…}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selector(Vec<Matcher>);

/// The reason why a text is no selector.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SelectorError {
    /// Byte of the text at which it is wrong.
    pub at: usize,
    /// The rule that it breaks there.
    pub reason: String,
}

impl Matcher {
    /// Creates a matcher.
    ///
    /// # Errors
    /// If the value must be a regular expression and is none, or is too large.
    pub fn new(name: impl Into<String>, op: Op, value: impl Into<String>) -> Result<Self, String> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            Op::Equal | Op::NotEqual => None,
            // As Prometheus: anchored, and `.` matches line breaks too. The expression is compiled alone too: with the
            // parentheses around it, `a)(b` would be one.
            Op::Match | Op::NotMatch => {
                let compile = |text: &str| RegexBuilder::new(text).size_limit(REGEX_SIZE).build();
                let compiled = compile(&value).and_then(|_| compile(&format!("^(?s:{value})$")));
                Some(compiled.map_err(|error| reason(&value, &error))?)
            }
        };
        Ok(Self { name, op, value, regex })
    }

    /// Returns the name of the label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the operator.
    #[must_use]
    pub fn op(&self) -> Op {
        self.op
    }

    /// Returns the text to the right of the operator.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns whether a value fulfills the condition; `""` stands for a label that is not there.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let found = self.regex.as_ref().map_or_else(|| self.value == value, |regex| regex.is_match(value));
        found == matches!(self.op, Op::Equal | Op::Match)
    }
}

/// Two matchers with the same texts are equal.
impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl Selector {
    /// Creates a selector; without matchers, every series fulfills it.
    #[must_use]
    pub fn new(matchers: Vec<Matcher>) -> Self {
        Self(matchers)
    }

    /// Returns the matchers in the order of the text; the name of the metric is one of `__name__`.
    #[must_use]
    pub fn matchers(&self) -> &[Matcher] {
        &self.0
    }

    /// Returns whether a series fulfills each matcher.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parse::selector(text).map(Self)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Match => "=~",
            Self::NotMatch => "!~",
        })
    }
}

/// Writes what can be parsed again: names that are not plain are quoted.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, Matcher { name, op, value, .. }) in self.0.iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            let name = if parse::is_name(name) { name.clone() } else { quote(name) };
            write!(f, "{separator}{name}{op}{}", quote(value))?;
        }
        f.write_str("}")
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n"))
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} of the selector: {}", self.at + 1, self.reason)
    }
}

impl std::error::Error for SelectorError {}

fn reason(value: &str, error: &regex::Error) -> String {
    // The text of the error repeats the expression over several lines; its last line has the reason.
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    format!("{value:?} is no regular expression: {}", last.trim_start_matches("error: "))
}

/// Returns the matcher of a metric's name.
fn metric(name: String) -> Result<Matcher, String> {
    Matcher::new(METRIC_NAME, Op::Equal, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()).unwrap()
    }

    #[test]
    fn matches_as_prometheus_does() {
        let series = labels(&[("__name__", "up"), ("job", "api"), ("path", "a\nb")]);
        for (selector, expected) in [
            ("up", true),
            ("{}", true),
            (r#"up{job="api"}"#, true),
            (r#"down{job="api"}"#, false),
            (r#"{job=~"a"}"#, false),
            (r#"{job=~"a.*|b"}"#, true),
            (r#"{job=~"b|a"}"#, false),
            (r#"{path=~"a.b"}"#, true),
            (r#"{job!~"a"}"#, true),
            (r#"{job!~".+"}"#, false),
            (r#"{env=""}"#, true),
            (r#"{env!=""}"#, false),
            (r#"{env=~".*"}"#, true),
            (r#"{env!="prod"}"#, true),
            (r#"{job="api",job!="api"}"#, false),
            (r#"{__name__=~"u."}"#, true),
        ] {
            assert_eq!(selector.parse::<Selector>().unwrap().matches(&series), expected, "{selector}");
        }
    }

    #[test]
    fn refuses_expressions_that_are_none_or_too_large() {
        for value in ["(", "a)(b", "*", r"a{1000}{1000}{1000}"] {
            assert!(Matcher::new("job", Op::Match, value).is_err(), "{value}");
        }
    }
}
