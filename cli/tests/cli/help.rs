//! Help texts.

use std::process::Command;

fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pushring")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_help_text_fits_80_columns() {
    let all = help(&["help"]);
    let (_, list) = all.split_once("Commands:\n").unwrap();
    let lines = list.lines().take_while(|line| !line.is_empty());
    let named = lines.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names: Vec<&str> =
        named.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").collect();
    assert!(names.contains(&"sweep") && names.contains(&"check"), "{names:?}");
    let texts = names.iter().flat_map(|name| [help(&[name, "-h"]), help(&[name, "--help"])]);
    for text in texts.chain([all.clone(), help(&["-h"]), help(&["--help"])]) {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
        }
    }
}

#[test]
fn version_names_the_commit() {
    let text = help(&["--version"]);
    let commit = text.strip_prefix(concat!("pushring ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
    let commit = commit.strip_suffix(")\n").unwrap();
    let digits = commit.strip_suffix("-dirty").unwrap_or(commit);
    let is_digits = digits.len() >= 7 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    assert!(is_digits || digits == "unknown", "{text}");
    assert_eq!(text, help(&["-V"]));
}
