//! How results are printed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::command::sweep::pass::Unreadable;

/// The form of what goes to standard output; warnings and errors go to standard error in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    #[value(alias = "text")]
    Table,
    /// One JSON document.
    Json,
}

/// What a duration of milliseconds is called in reports; saturates after 584 million years.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A progress bar on standard error; nothing where that is no terminal.
#[must_use]
pub fn progress(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {eta}");
    let bar = ProgressBar::no_length().with_message(what);
    style.map_or(bar.clone(), |style| bar.with_style(style.progress_chars("=> ")))
}

/// What moves a bar: told how many are done, of how many.
pub fn advance(bar: &ProgressBar) -> impl Fn(usize, usize) {
    |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    }
}

/// A group as people write it: `{job="a",instance="b"}`, `job` first.
#[must_use]
pub fn group(labels: &BTreeMap<String, String>) -> String {
    let job = labels.get_key_value("job");
    let rest = labels.iter().filter(|(name, _)| *name != "job");
    let all: Vec<String> =
        job.into_iter().chain(rest).map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", all.join(","))
}

/// A time in seconds as people say it, by its two largest units: `3days 4h`.
#[must_use]
pub fn age(seconds: i64) -> String {
    let whole = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let text = humantime::format_duration(whole).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// A table without lines, as all commands print them.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table
}

/// Says on standard error why nothing happens for a while.
pub fn settling(left: std::time::Duration) {
    eprintln!("pushring: waiting {} s: the members may have changed just now (--settle)", left.as_secs() + 1);
}

/// Prints a result. A reader that has gone, as with `| head`, has enough: no error.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(result: impl fmt::Display) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{result}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a report: as `text` lays it out, or as JSON.
///
/// # Errors
/// As [`print`].
pub fn show<R: Serialize>(output: Output, report: &R, text: impl FnOnce(&R) -> String) -> anyhow::Result<()> {
    match output {
        Output::Table => print(text(report).trim_end())?,
        Output::Json => print(serde_json::to_string(report)?)?,
    }
    Ok(())
}

/// The gateways about which nothing could be told, one a line.
#[must_use]
pub fn unreadable(gateways: &[Unreadable]) -> String {
    let line = |gateway: &Unreadable| {
        let off = if gateway.on_ring { "" } else { " (not on the ring)" };
        format!("{}{off} cannot be read: {}\n", gateway.gateway, gateway.reason)
    };
    gateways.iter().map(line).collect()
}
