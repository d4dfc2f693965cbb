//! What the reader sees: plain lines, with colours on a terminal only.

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

/// An empty line, then the title of what follows.
pub(crate) fn heading(text: impl Display) {
    print(format_args!("\n{BOLD}{text}{BOLD:#}\n"));
}

/// Plain text.
pub(crate) fn line(text: impl Display) {
    print(format_args!("{text}\n"));
}

/// A command that can be copied as it stands.
pub(crate) fn command(text: impl Display) {
    print(format_args!("    {GREEN}{text}{GREEN:#}\n"));
}

/// Something happened while the demo runs.
pub(crate) fn event(text: impl Display) {
    print(format_args!("{YELLOW}->{YELLOW:#} {text}\n"));
}

/// Something is wrong; the demo goes on.
pub(crate) fn problem(text: impl Display) {
    print(format_args!("{RED}->{RED:#} {text}\n"));
}

/// Names what is being done, does it, and says how long that took.
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

/// A path as short as it can be typed from the current folder.
pub(crate) fn short(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// A terminal that was closed is no reason to fail: the signal that comes with it ends the demo in order.
fn print(text: impl Display) {
    let mut out = anstream::stdout().lock();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}
