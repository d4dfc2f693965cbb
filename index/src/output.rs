//! Results and errors for people and programs. Text of others is escaped: see [`text`].

use std::fmt;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, presets};
use serde_json::Value;

use crate::text;

/// Columns without a terminal.
const WIDTH: u16 = 80;

/// Format of standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for people
    #[default]
    Table,
    /// One JSON document
    Json,
}

/// Prints text whose values are escaped already. A closed pipe, as with `| head`, is not an error.
pub(crate) fn print(text: impl fmt::Display) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints one JSON document in one line.
pub(crate) fn print_json(value: &Value) -> io::Result<()> {
    print(text::json(&value.to_string()))
}

/// Writes an error to standard error.
#[allow(clippy::print_stderr)]
pub(crate) fn error(message: &str) {
    eprintln!("error: {}", text::error(message));
}

/// Formats a table without lines; columns of numbers are aligned right.
pub(crate) fn table(
    header: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    if !io::stdout().is_terminal() {
        table.set_width(WIDTH);
    }
    for row in rows {
        // Escapes make it longer.
        table.add_row(row.iter().map(|cell| text::short(&text::line(&text::short(cell))).into_owned()));
    }
    for &index in numbers {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Formats a number of series.
pub(crate) fn number_of_series(number: usize) -> String {
    if number == 0 { "no series".to_owned() } else { format!("{number} series") }
}

/// Formats milliseconds since 1970 as a time in UTC.
pub(crate) fn time(value: &Value) -> String {
    let time = value.as_i64().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| "?".into(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Formats the labels of an answer as a selector, with values escaped for a terminal.
pub(crate) fn series(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    let labels = labels.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
    text::line(&selector(labels)).into_owned()
}

/// Formats labels as a selector of PromQL, in one line, without characters that do not show.
pub(crate) fn selector<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>) -> String {
    let (mut metric, mut matchers) = (String::new(), Vec::new());
    for (name, value) in labels {
        if name != pushring_index::METRIC_NAME {
            let name = if is_name(name, "_") { name.to_owned() } else { quoted(name) };
            matchers.push(format!("{name}={}", quoted(value)));
        } else if is_name(value, "_:") {
            metric = value.to_owned();
        } else {
            matchers.insert(0, quoted(value));
        }
    }
    if matchers.is_empty() { metric } else { format!("{metric}{{{}}}", matchers.join(",")) }
}

/// Returns whether a name needs no quotes in PromQL: letters, digits and these.
fn is_name(name: &str, others: &str) -> bool {
    let is_letter = |char: char| char.is_ascii_alphabetic() || others.contains(char);
    name.starts_with(is_letter) && name.chars().all(|char| is_letter(char) || char.is_ascii_digit())
}

fn quoted(value: &str) -> String {
    let mut quoted = String::from('"');
    for char in value.chars() {
        match (char, u32::from(char)) {
            ('"' | '\\', _) => quoted.extend(['\\', char]),
            ('\n', _) => quoted.push_str("\\n"),
            (_, code) if text::line(char.encode_utf8(&mut [0; 4])).chars().ne([char]) => {
                quoted += &if code < 0x1_0000 { format!("\\u{code:04x}") } else { format!("\\U{code:08x}") };
            }
            _ => quoted.push(char),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use pushring_index::Labels;
    use pushring_index::matcher::Selector;

    use super::*;

    #[test]
    fn a_selector_can_be_searched_for_and_shows_as_it_is() {
        let hostile = "q\"uote \\ \u{1b}[31m\n\u{202e}é🦀\u{e0001}";
        for (metric, name) in
            [("up", "job"), ("a:b_1", "http.status"), ("up.b", hostile), (hostile, "job"), ("1up", "1")]
        {
            let pairs = [("__name__", metric), (name, hostile), ("a", "")];
            let labels =
                Labels::new(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
            let text = selector(pairs[..2].iter().copied());
            let parsed: Selector = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(parsed.matches(&labels.unwrap()), "{text}");
            assert_eq!(text::line(&text), text);
        }
        assert_eq!(selector([("__name__", "up"), ("job", "a")].into_iter()), "up{job=\"a\"}");
        assert_eq!(selector([("__name__", "up.b")].into_iter()), "{\"up.b\"}");
        assert_eq!(selector([("__name__", "up")].into_iter()), "up");
    }
}
