//! Reads the text format, as a gateway and `pushring serve` write it.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, ensure};

use super::groups::{GROUPS, JOB, SERIES};

/// The content of one scrape.
#[derive(Debug, Default)]
pub(super) struct Exposed {
    /// The value of each series, by group and series.
    pub(super) values: BTreeMap<(usize, usize), u64>,
    /// Series and families that were there a second time.
    pub(super) twice: Vec<String>,
    /// Gateways that `serve` could not read.
    pub(super) down: Vec<String>,
}

/// Parses a scrape; series of other jobs are only counted.
///
/// # Errors
/// Names the line that is not in the text format.
pub(super) fn parse(text: &str) -> Result<Exposed> {
    let mut exposed = Exposed::default();
    let mut seen: HashSet<String> = HashSet::new();
    let mut note = |line: String| {
        if !seen.insert(line.clone()) {
            exposed.twice.push(line);
        }
    };
    let (mut values, mut down) = (BTreeMap::new(), Vec::new());
    ensure!(text.is_empty() || text.ends_with('\n'), "the last line is not complete");
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            note(format!("TYPE {}", family.split(' ').next().unwrap_or_default()));
        } else if !line.is_empty() && !line.starts_with('#') {
            let (name, labels, value) = sample(line).with_context(|| format!("line {line:?}"))?;
            note(format!("{name}{labels:?}"));
            if name == "pushring_serve_gateway_up" && value == 0.0 {
                down.extend(labels.get("gateway").cloned());
            }
            if let Some(key) = key(name, &labels) {
                values.insert(key, value as u64);
            }
        }
    }
    (exposed.values, exposed.down) = (values, down);
    Ok(exposed)
}

/// Returns group and series of a sample of our groups.
fn key(name: &str, labels: &BTreeMap<String, String>) -> Option<(usize, usize)> {
    let series = SERIES.iter().position(|series| *series == name)?;
    let ours = labels.get("job").is_some_and(|job| job == JOB);
    let group: usize = labels.get("instance")?.strip_prefix('g')?.parse().ok()?;
    (ours && group < GROUPS).then_some((group, series))
}

/// Splits `name{label="value",…} 1` into its parts.
fn sample(line: &str) -> Result<(&str, BTreeMap<String, String>, f64)> {
    let end = line.find(['{', ' ']).context("no value")?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").context("a label without a value")?;
            let (value, after) = unquote(after)?;
            ensure!(labels.insert(label.to_owned(), value).is_none(), "the label {label} is there twice");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.trim_start().split(' ').next().unwrap_or_default();
    let value = value.replace("Inf", "inf").parse().with_context(|| format!("the value {value:?}"))?;
    Ok((name, labels, value))
}

/// Returns the value before the closing quote, and the rest after it.
fn unquote(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, found)) = chars.next() {
        match found {
            '"' => return Ok((value, &text[index + 1..])),
            '\\' => match chars.next().context("an escape without a character")?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    anyhow::bail!("no closing quote")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_group_and_series() {
        let text = "# HELP replicas_a a\n# TYPE replicas_a gauge\nreplicas_a{instance=\"g7\",job=\"replicas\",zone=\"z/0\"} 12\n\
                    replicas_a{instance=\"g8\",job=\"other\"} 1\nup 1\n";
        let exposed = parse(text).unwrap();
        assert_eq!(exposed.values, BTreeMap::from([((7, 0), 12)]));
        assert!(exposed.twice.is_empty());
    }

    #[test]
    fn a_series_is_the_same_in_another_order_of_labels() {
        let text = "m{a=\"1\",b=\"\\\"2\\\\,}\"} 1\nm{b=\"\\\"2\\\\,}\",a=\"1\"} 2\nm{a=\"1\",b=\"2\"} 1\n";
        assert_eq!(parse(text).unwrap().twice.len(), 1);
    }

    #[test]
    fn a_family_is_described_once() {
        assert_eq!(parse("# TYPE m gauge\nm 1\n# TYPE m gauge\n").unwrap().twice, ["TYPE m"]);
    }

    #[test]
    fn numbers_of_all_kinds_are_read() {
        assert!(parse("m NaN\nn +Inf\no -Inf\np 1.5e+09\nq 1 1700000000000\n").is_ok());
    }

    #[test]
    fn other_formats_are_an_error() {
        for text in ["m", "m{a=\"1\" 1\n", "m{a} 1\n", "m x\n", "m{a=\"1\",a=\"2\"} 1\n", "m{a=\"1\"} 1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
