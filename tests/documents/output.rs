//! Compares what commands print with what a document shows.

use regex::Regex;

/// Fails unless `found` is `expected`, where `…` is any text within a line and a line of `…` alone is any lines. Spaces at
/// the ends of lines do not count.
pub(crate) fn compare(expected: &str, found: &str) -> Result<(), String> {
    let found = trimmed(found);
    if pattern(expected).is_match(&found) {
        return Ok(());
    }
    Err(format!("the document shows\n{}\nfound\n{found}", trimmed(expected)))
}

fn pattern(expected: &str) -> Regex {
    let line = |line: &str| {
        if line == "…" {
            return "(?:.*\n)*?".to_owned();
        }
        let parts: Vec<String> = line.split('…').map(regex::escape).collect();
        format!("{}\n", parts.join(".*"))
    };
    let lines: String = trimmed(expected).lines().map(line).collect();
    Regex::new(&format!("^{lines}$")).expect("an escaped text is a regular expression")
}

fn trimmed(text: &str) -> String {
    let lines = text.trim_end().lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

#[test]
fn ellipsis_is_any_text_or_any_lines() {
    compare("a … c", "a b  b c\n").unwrap();
    compare("first\n…\nlast", "first\nlast").unwrap();
    compare("first\n…\nlast\n", "first \n2\n3\nlast").unwrap();
    compare("a (1)", "a (2)").unwrap_err();
    compare("a", "a\nb").unwrap_err();
    compare("a …", "b\na 1").unwrap_err();
}
