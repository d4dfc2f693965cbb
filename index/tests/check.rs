//! `metric-index check`, as a user runs it.

use std::process::Command;

fn check(file: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metric-index"));
    command.args(["check", file]);
    command
}

#[test]
fn the_configuration_of_the_original_is_valid() {
    let output = check(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/original.yaml")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("role indexer") && !text.contains("not-for-the-log"), "{text}");
}

#[test]
fn an_error_has_its_line_and_exit_code_2() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "app:\n  potr: 7001\n").unwrap();
    let output = check(file.path().to_str().unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("app.potr") && text.contains("line 2"), "{text}");
}
