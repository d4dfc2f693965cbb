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

/// Width of the screen.
const WIDTH: usize = 80;

/// Prints an empty line and a title.
pub(crate) fn heading(text: impl Display) {
    print(format_args!("\n{BOLD}{text}{BOLD:#}\n"));
}

/// Prints a line.
pub(crate) fn line(text: impl Display) {
    print(format_args!("{text}\n"));
}

/// Prints a command that can be copied; a long one in several lines.
pub(crate) fn command(text: impl Display) {
    for line in command_lines(&text.to_string()) {
        print(format_args!("    {GREEN}{line}{GREEN:#}\n"));
    }
}

/// Keeps a flag and its value together.
fn with_values<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for word in words {
        match all.last_mut() {
            Some(flag) if is_flag(flag) && !word.starts_with('-') => *flag += &format!(" {word}"),
            _ => all.push(word.to_owned()),
        }
    }
    all
}

fn is_flag(word: &str) -> bool {
    let long = word.starts_with("--") && !word.contains([' ', '=']);
    long || (word.starts_with('-') && word.len() == 2)
}

/// Breaks a shell command at spaces outside quotes into lines that end with a backslash and fit the screen.
fn command_lines(command: &str) -> Vec<String> {
    let mut quote = None;
    let words = command.split(|c| {
        match quote {
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(end) if c == end => quote = None,
            _ => {}
        }
        c == ' ' && quote.is_none()
    });
    let mut lines = vec![String::new()];
    for word in with_values(words) {
        let Some(line) = lines.last_mut() else { continue };
        // The indentation, the space before the word, and " \\" after it.
        if line.is_empty() {
            *line = word;
        } else if 4 + line.chars().count() + 1 + word.chars().count() + 2 <= WIDTH {
            *line += &format!(" {word}");
        } else {
            *line += " \\";
            lines.push(format!("  {word}"));
        }
    }
    lines
}

/// Prints an event.
pub(crate) fn event(text: impl Display) {
    print(format_args!("{YELLOW}->{YELLOW:#} {text}\n"));
}

/// Prints a problem; the demo continues.
pub(crate) fn problem(text: impl Display) {
    print(format_args!("{RED}->{RED:#} {text}\n"));
}

/// Prints sentences, indented.
pub(crate) fn text(text: impl Display) {
    print(format_args!("  {}\n", wrap(&text.to_string(), 2)));
}

/// Breaks a text that begins after `indent` columns into lines that fit the screen.
pub(crate) fn wrap(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut column = indent;
    for (index, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > WIDTH {
            lines += &format!("\n{:indent$}", "");
            column = indent + width;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_fits_the_screen_and_is_the_same_to_the_shell() {
        let short = "kill -STOP 1";
        assert_eq!(command_lines(short), [short]);
        let long = format!("printf '%s|' 'a  b' \"c   d\" {}", "word 'two words' ".repeat(20).trim_end());
        let lines = command_lines(&long);
        assert!(lines.len() > 3 && lines.iter().all(|line| line.len() + 4 <= WIDTH), "{lines:?}");
        let run =
            |command: &str| std::process::Command::new("sh").args(["-c", command]).output().unwrap().stdout;
        assert_eq!(run(&lines.join("\n    ")), run(&long));
    }
}
