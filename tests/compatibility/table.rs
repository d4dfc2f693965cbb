//! The tables of docs/compatibility.md.

use std::env;
use std::fs;
use std::path::PathBuf;

use pushring_harness::tools;

/// Fails unless the table whose header begins with `start` has exactly these rows; with `BLESS` in the environment, writes
/// them.
#[track_caller]
pub(crate) fn check(start: &str, found: &[Vec<String>]) {
    let text = document();
    let found: Vec<String> = found.iter().map(|cells| format!("| {} |", cells.join(" | "))).collect();
    let head = text.lines().position(|line| line.starts_with(start)).expect("the table") + 2;
    let rows = text.lines().skip(head).take_while(|line| line.starts_with('|')).count();
    let documented: Vec<&str> = text.lines().skip(head).take(rows).collect();
    if env::var_os("BLESS").is_some() {
        let lines = text.lines().take(head).chain(found.iter().map(String::as_str));
        let lines: Vec<&str> = lines.chain(text.lines().skip(head + rows)).collect();
        fs::write(path(), lines.join("\n") + "\n").unwrap();
    } else {
        assert_eq!(documented, found, "docs/compatibility.md; BLESS=1 writes it");
    }
}

/// Returns the text of the document.
pub(crate) fn document() -> String {
    fs::read_to_string(path()).unwrap()
}

fn path() -> PathBuf {
    tools::repository().join("docs/compatibility.md")
}
