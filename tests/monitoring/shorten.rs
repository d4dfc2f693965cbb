//! The shipped files of monitoring/ with all durations divided by one factor, and nothing else changed: a test that waits for
//! `for: 5m` takes seconds. Numbers in expressions, such as a threshold of 120 seconds, stay as they are.

use std::fs;

use pushring_harness::tools;
use regex::{Captures, Regex};
use serde_json::Value;

/// The longest time in milliseconds for which a shortened alert waits: `for: 1d` is longer than any test, whatever the factor.
const MAX_FOR: u64 = 20_000;

/// Reads a shipped file.
pub(crate) fn shipped(file: &str) -> Value {
    let path = tools::repository().join("monitoring").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Shortens the ranges and the `for` of every rule.
pub(crate) fn rules(mut rules: Value, factor: u64) -> Value {
    for rule in rules["groups"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .flat_map(|group| group["rules"].as_array_mut().unwrap())
    {
        rule["expr"] = ranges(rule["expr"].as_str().unwrap(), factor).into();
        if let Some(wait) = rule.get("for").and_then(Value::as_str) {
            rule["for"] = format!("{}ms", (milliseconds(wait) / factor).min(MAX_FOR)).into();
        }
    }
    rules
}

/// Shortens these fields, wherever they are.
pub(crate) fn fields(value: &mut Value, names: &[&str], factor: u64) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(text) if names.contains(&name.as_str()) => {
                        *field = format!("{}ms", milliseconds(text) / factor).into();
                    }
                    _ => self::fields(field, names, factor),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fields(item, names, factor)),
        _ => {}
    }
}

/// Shortens every `[5m]` and `[1d:1m]` of an expression.
fn ranges(expression: &str, factor: u64) -> String {
    let range = Regex::new(r"\[(\w+)(?::(\w+))?\]").unwrap();
    let short = |text: &str| format!("{}ms", milliseconds(text) / factor);
    let shortened = range.replace_all(expression, |found: &Captures<'_>| match found.get(2) {
        Some(step) => format!("[{}:{}]", short(&found[1]), short(step.as_str())),
        None => format!("[{}]", short(&found[1])),
    });
    shortened.into_owned()
}

/// Parses a duration of Prometheus with one unit.
fn milliseconds(text: &str) -> u64 {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => panic!("{text:?} is no duration of one unit"),
    };
    number.parse::<u64>().unwrap() * unit
}

#[test]
fn divides_every_duration() {
    assert_eq!(
        ranges("min_over_time((a[5m] > 1)[1d:1m]) > 120", 30),
        "min_over_time((a[10000ms] > 1)[2880000ms:2000ms]) > 120"
    );
    let mut all = serde_json::json!({"global": {"scrape_interval": "15s"}, "name": "15s"});
    fields(&mut all, &["scrape_interval"], 30);
    assert_eq!(all, serde_json::json!({"global": {"scrape_interval": "500ms"}, "name": "15s"}));
}
