//! The output of the demo: plain lines, with colors on a terminal only.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use anyhow::Result;

const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();

/// Prints an empty line and a title.
pub(crate) fn heading(text: impl Display) {
    print(format_args!("\n{BOLD}{text}{BOLD:#}\n"));
}

/// Prints a line.
pub(crate) fn line(text: impl Display) {
    print(format_args!("{text}\n"));
}

/// Prints a command that can be copied.
pub(crate) fn command(text: impl Display) {
    print(format_args!("    {GREEN}{text}{GREEN:#}\n"));
}

/// Prints an event.
pub(crate) fn event(text: impl Display) {
    print(format_args!("{YELLOW}->{YELLOW:#} {text}\n"));
}

/// Prints a problem; the demo continues.
pub(crate) fn problem(text: impl Display) {
    print(format_args!("{RED}->{RED:#} {text}\n"));
}

/// Breaks the text of an event into lines of at most 80 columns.
pub(crate) fn wrap(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 3;
    for (index, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > 80 {
            lines += "\n   ";
            column = 3 + width;
        } else {
            lines += if index > 0 { " " } else { "" };
            column += width + usize::from(index > 0);
        }
        lines += word;
    }
    lines
}

/// Prints what `work` does and how long it took.
pub(crate) fn step<T>(what: impl Display, act: impl FnOnce() -> Result<T>) -> Result<T> {
    print(format_args!("  {what} ... "));
    let started = Instant::now();
    let result = act();
    let seconds = started.elapsed().as_secs_f64();
    match &result {
        Ok(_) => print(format_args!("{GREEN}ready{GREEN:#} ({seconds:.1} s)\n")),
        Err(_) => print(format_args!("{RED}failed{RED:#}\n")),
    }
    result
}

/// Returns the shortest form of a path in the current folder.
pub(crate) fn short(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// Ignores a closed terminal: its signal stops the demo in order.
fn print(text: impl Display) {
    let mut out = anstream::stdout().lock();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}
