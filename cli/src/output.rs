//! How results are printed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

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
        job.into_iter().chain(rest).map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", all.join(","))
}

/// Formats seconds in their two largest units: `3days 4h`.
pub(crate) fn age(seconds: i64) -> String {
    let whole = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let text = humantime::format_duration(whole).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Returns an empty table without lines, as wide as the terminal.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// Explains on standard error why the command waits.
pub(crate) fn settling(left: std::time::Duration) {
    eprintln!("pushring: waiting {} s in case the members changed just now (--settle)", left.as_secs() + 1);
}

/// Prints a result. A closed pipe, as with `| head`, is not an error.
pub(crate) fn print(result: impl fmt::Display) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{result}") {
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
        Output::Table => print(text(report).trim_end())?,
        Output::Json => print(serde_json::to_string(report)?)?,
    }
    Ok(())
}
