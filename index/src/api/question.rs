//! The parameters of a request, from its URL, its form and its headers.

use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use axum::http::header::HeaderMap;
use pushring_index::matcher::Selector;

use super::TENANT_HEADER;
use crate::catalogue::Filter;

/// Series of an answer without `limit`.
const LIMIT: usize = 1000;
/// Most items of an answer; the cursor leads to the next ones.
const MAX_LIMIT: usize = 100_000;

/// A request for part of the catalogue of a tenant.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) tenant: String,
    parameters: Vec<(String, String)>,
}

/// A request that is wrong: 400.
#[derive(Debug)]
pub(crate) struct Bad(pub(crate) String);

impl Question {
    /// Reads a request. The tenant is that of the header, else of the parameter `tenant`, else the one without a name.
    pub(crate) fn new(headers: &HeaderMap, query: Option<&str>, form: &[u8]) -> Result<Self> {
        let query = query.unwrap_or_default().as_bytes();
        let pairs =
            form_urlencoded::parse(query).into_owned().chain(form_urlencoded::parse(form).into_owned());
        let parameters = pairs.collect();
        let header = headers.get(TENANT_HEADER).map(|value| value.to_str()).transpose();
        let header =
            header.map_err(|_| Bad(format!("the header {TENANT_HEADER} is not text")))?.map(str::to_owned);
        let mut question = Self { tenant: String::new(), parameters };
        question.tenant = header.or_else(|| question.get("tenant").map(str::to_owned)).unwrap_or_default();
        Ok(question)
    }

    /// Returns the first parameter with the name; an empty one counts as none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Returns all parameters with the name that are not empty; `name[]` is the same name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let is_same = move |found: &str| found == name || found.strip_suffix("[]") == Some(name);
        self.parameters
            .iter()
            .filter(move |(found, value)| is_same(found) && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == "true" || value == "1")
    }

    /// Returns the value of a parameter that is a number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Bad(format!("{name}: expected a number, found {text:?}")).into())
        };
        self.get(name).map(parse).transpose()
    }

    /// Returns the number of items of the answer; 0 is the most possible.
    pub(super) fn limit(&self, default: usize) -> Result<usize> {
        Ok(match self.number("limit")?.or(self.number("topN")?) {
            None => default,
            Some(0) => MAX_LIMIT,
            Some(limit) => MAX_LIMIT.min(limit),
        })
    }

    /// Returns the number of series of a page.
    pub(super) fn page(&self) -> Result<usize> {
        self.limit(LIMIT)
    }

    /// Returns a time in milliseconds since 1970, see [`time`].
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>> {
        self.get(name).map(|text| parse_time(name, text)).transpose()
    }

    /// Returns the selection: `match[]` or Mimir's `selector`, and the times. `start` and `end` are Prometheus': series that
    /// were there between them.
    pub(super) fn filter(&self) -> Result<Filter> {
        let parse = |text: &str| {
            text.parse::<Selector>().map_err(|error| Bad(format!("{error}; found {text:?}")).into())
        };
        let selectors = self.all("match").chain(self.all("selector")).map(parse).collect::<Result<_>>()?;
        let last_from = self.time("seen_since")?.max(self.time("start")?);
        let tenant = self.tenant.clone();
        Ok(Filter { tenant, selectors, last_from, first_until: self.time("end")?, ..Filter::default() })
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Bad {}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Reads the time in a parameter, see [`time`].
pub(crate) fn parse_time(name: &str, text: &str) -> Result<i64> {
    let expected = "expected a duration before now (`90m`, `7d`), seconds since 1970, or a time (`2026-01-31T12:00:00Z`)";
    time(text, now()).ok_or_else(|| Bad(format!("{name}: {expected}, found {text:?}")).into())
}

/// Reads a time: a duration before now, seconds since 1970 with a fraction, or RFC 3339.
fn time(text: &str, now: i64) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        // The limits of RFC 3339's years.
        return (seconds.abs() < 253_402_300_800.0).then_some((seconds * 1000.0).round() as i64);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    now.checked_sub(duration(text)?)
}

/// Reads a duration of Prometheus in milliseconds: `1d12h`.
fn duration(mut text: &str) -> Option<i64> {
    let mut all: i64 = 0;
    let units = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("y", 31_536_000_000),
    ];
    while !text.is_empty() {
        let (number, rest) = text.split_at(text.find(|char: char| !char.is_ascii_digit())?);
        let (unit, millis) = units.iter().find(|(unit, _)| rest.starts_with(unit))?;
        all = all.checked_add(number.parse::<i64>().ok()?.checked_mul(*millis)?)?;
        text = &rest[unit.len()..];
    }
    (all > 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_form_of_a_time() {
        let now = 1_800_000_000_000;
        for (text, expected) in [
            ("1h", Some(now - 3_600_000)),
            ("1d12h", Some(now - 129_600_000)),
            ("500ms", Some(now - 500)),
            ("1700000000.5", Some(1_700_000_000_500)),
            ("2026-01-31T12:00:00Z", Some(1_769_860_800_000)),
            ("0s", None),
            ("h", None),
            ("1", Some(1000)),
            ("1x", None),
            ("1é", None),
            ("99999999999999999999d", None),
            ("9999999999999999d", None),
            ("NaN", None),
            ("inf", None),
            ("-1h", None),
        ] {
            assert_eq!(time(text, now), expected, "{text}");
        }
    }
}
