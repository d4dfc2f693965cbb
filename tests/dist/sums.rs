//! `SHA256SUMS`, and a second build elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use pushring_harness::tools;

use crate::{dist, files, here, run, shell};

/// Returns the sum of each file that a folder's `SHA256SUMS` lists, after checking them.
fn sums(folder: &Path) -> BTreeMap<String, String> {
    run(Command::new("sh")
        .args(["-euc", "cd \"$0\"; sha256sum --check --strict --quiet SHA256SUMS"])
        .arg(folder));
    let text = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let lines = text.lines().map(|line| line.split_once("  ").unwrap());
    lines.map(|(sum, file)| (file.to_owned(), sum.to_owned())).collect()
}

#[test]
fn lists_every_file() {
    let folder = dist("SHA256SUMS");
    let folder = folder.parent().unwrap();
    let mut listed: Vec<_> = sums(folder).into_keys().collect();
    listed.push("SHA256SUMS".to_owned());
    listed.sort();
    assert_eq!(listed, files(folder));
}

/// The second build is a copy of the tree without its history, in another folder, with another umask, time zone and
/// language, for this architecture only: that of the other one differs in the name of the target alone.
#[test]
fn a_second_build_in_another_folder_gives_the_same_sums() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("another folder's name".replace([' ', '\''], "-"));
    fs::create_dir(&copy).unwrap();
    let list = "git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2> /dev/null";
    shell(&format!("{list} | tar -c -T - | tar -x -C {}", copy.display()));
    let make = run(Command::new("sh")
        .args(["-euc", "cd \"$0\"; umask 077; unset CARGO_TARGET_DIR MAKEFLAGS; exec make dist \"$@\""])
        .arg(&copy)
        .arg(format!("ARCHES={}", here().0))
        .arg(format!("TOOLS={}", tools::repository().join("target/tools").display()))
        .arg(format!("PUSHRING_COMMIT={}", shell("git describe --always --dirty --exclude='*' --abbrev=12")))
        .arg(format!("SOURCE_DATE_EPOCH={}", shell("git log -1 --format=%ct")))
        .envs([("TZ", "Pacific/Auckland"), ("LC_ALL", "C.UTF-8")]));
    let first = sums(dist("SHA256SUMS").parent().unwrap());
    let second = sums(&copy.join("target/dist"));
    assert!(second.len() >= 4, "{second:?}\n{make}");
    for (file, sum) in second {
        assert_eq!(first.get(&file), Some(&sum), "{file}");
    }
}
