//! Results, warnings and errors: the only place that prints. Text of others is escaped: see [`text`].

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::{duration, text};

/// Format of standard output; warnings and errors always go to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for people
    #[default]
    Table,
    /// One JSON document
    Json,
}

/// Milliseconds for a report; saturates after 584 million years.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Shows a progress bar on standard error if that is a terminal.
pub(crate) fn progress(label: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {eta}");
    let bar = ProgressBar::no_length().with_message(label);
    style.map_or(bar.clone(), |style| bar.with_style(style.progress_chars("=> ")))
}

/// Returns the callback that moves a bar; its arguments are the finished and the total number of items.
pub(crate) fn advance(bar: &ProgressBar) -> impl Fn(usize, usize) {
    |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    }
}

/// Formats the labels of a group as `{job="a",instance="b"}`, `job` first.
pub(crate) fn group(labels: &BTreeMap<String, String>) -> String {
    let job = labels.get_key_value("job");
    let rest = labels.iter().filter(|(name, _)| *name != "job");
    let all: Vec<String> =
        job.into_iter().chain(rest).map(|(name, value)| format!("{}={value:?}", text::line(name))).collect();
    format!("{{{}}}", all.join(","))
}

/// Formats seconds in their two largest units: `3d 4h`.
pub(crate) fn age(seconds: i64) -> String {
    let whole = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    duration::show(whole).split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Formats a share as `12.3 %`; a share above zero never shows as `0.0 %`.
pub(crate) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.000_5 { "<0.1 %".to_owned() } else { format!("{:.1} %", share * 100.0) }
}

/// Text of others in one line of limited length, for people.
pub(crate) fn short_line(text: &str) -> String {
    // Escapes make it longer.
    text::short(&text::line(&text::short(text))).into_owned()
}

/// A table without lines, as wide as the terminal.
pub(crate) struct Table(comfy_table::Table);

/// Returns an empty table; without a header, if there are no columns.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header);
    }
    Table(table)
}

impl Table {
    /// Adds a row; its cells may contain text of others, of any length: JSON has it whole.
    pub(crate) fn add_row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.0.add_row(cells.into_iter().map(|cell| short_line(cell.as_ref())));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Aligns columns of numbers; one that the table does not have is ignored.
    pub(crate) fn align_right(&mut self, columns: &[usize]) {
        for &index in columns {
            if let Some(column) = self.0.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.trim_fmt())
    }
}

/// Explains on standard error why the command waits.
pub(crate) fn settling(left: std::time::Duration) {
    warn(format_args!("waiting {} s in case the members changed just now (--settle)", left.as_secs() + 1));
}

/// Prints a warning or an error.
pub(crate) fn warn(message: impl fmt::Display) {
    note(format_args!("pushring: {}\n", text::error(&message.to_string())));
}

/// Prints to standard error, without adding a line break.
#[allow(clippy::print_stderr)]
pub(crate) fn note(text: impl fmt::Display) {
    eprint!("{}", text::lines(&text.to_string()));
}

/// Prints a result. A closed pipe, as with `| head`, is not an error.
pub(crate) fn print(result: impl fmt::Display) -> io::Result<()> {
    write_line(&text::lines(&result.to_string()))
}

/// As [`print`], as one JSON document in one line.
pub(crate) fn print_json(result: &impl Serialize) -> anyhow::Result<()> {
    Ok(write_line(&text::json(&serde_json::to_string(result)?))?)
}

fn write_line(line: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a report: formatted by `text`, or as JSON.
pub(crate) fn show<R: Serialize>(
    output: Output,
    report: &R,
    text: impl FnOnce(&R) -> String,
) -> anyhow::Result<()> {
    match output {
        Output::Table => Ok(print(text(report).trim_end())?),
        Output::Json => print_json(report),
    }
}
