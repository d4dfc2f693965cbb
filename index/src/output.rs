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
        table.add_row(row.iter().map(|cell| text::line(&text::short(cell)).into_owned()));
    }
    for &index in numbers {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
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

/// Formats labels as a selector.
pub(crate) fn selector<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>) -> String {
    let (name, rest): (Vec<_>, Vec<_>) = labels.partition(|(name, _)| *name == pushring_index::METRIC_NAME);
    let name: String = name.into_iter().map(|(_, value)| value).collect();
    let rest: Vec<_> = rest.into_iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let braces = if rest.is_empty() { String::new() } else { format!("{{{}}}", rest.join(",")) };
    format!("{name}{braces}")
}
