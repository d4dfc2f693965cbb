//! The units of deploy/systemd are right, and leave a program that was broken into with little.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pushring_harness::tools;

/// The most exposure that `systemd-analyze security` may find, from 0 to 100; it shows a tenth of it.
const THRESHOLD: &str = "--threshold=20";
/// The programs of the units, which systemd looks for in its own path.
const PROGRAMS: [&str; 3] = ["pushring", "envoy", "pushgateway"];

#[test]
fn units_are_hardened() {
    for unit in units() {
        let output = analyze(&["security", "--offline=true", "--no-pager", THRESHOLD], &[&unit]);
        let found = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}\n{found}", String::from_utf8_lossy(&output.stderr));
        assert!(found.contains("Overall exposure level for"), "{found}");
    }
}

#[test]
fn systemd_understands_each_line() {
    let dir = tempfile::tempdir().unwrap();
    let copies: Vec<PathBuf> = units().iter().map(|unit| with_stubs(unit, dir.path())).collect();
    let copies: Vec<&PathBuf> = copies.iter().collect();
    let output = analyze(&["verify", "--man=no"], &copies);
    // An unknown setting is a warning, with the exit code 0. Units of this machine may have their own.
    let warnings = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = warnings.lines().filter(|line| line.contains("pushring")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
    assert!(output.status.success());
}

/// Every variable of a unit is in its file of `/etc/pushring`, and the other way round.
#[test]
fn files_of_variables_belong_to_units() {
    for unit in units() {
        let text = fs::read_to_string(&unit).unwrap();
        let name = text.lines().find_map(|line| line.strip_prefix("EnvironmentFile=-/etc/pushring/"));
        let Some(name) = name else { panic!("{} reads no file of variables", unit.display()) };
        let file = fs::read_to_string(folder().join("etc").join(name)).unwrap();
        let variables: Vec<&str> = file.lines().filter_map(variable).collect();
        let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("Exec")).collect();
        for variable in &variables {
            let used = |command: &&str| {
                command.contains(&format!("${{{variable}}}"))
                    || command.split(' ').any(|word| word == format!("${variable}"))
            };
            assert!(commands.iter().any(used), "{name}: {} does not use {variable}", unit.display());
        }
        for command in commands {
            // `$$` is a variable of a shell.
            let command = command.replace("$$", "");
            for used in command.split(' ').filter_map(|word| word.split_once('$')) {
                let used = used.1.trim_matches(['{', '}']);
                assert!(
                    used == "MAINPID" || variables.contains(&used),
                    "{name} has no {used} of {}",
                    unit.display()
                );
            }
        }
    }
}

/// Returns the variable that a line sets, also one that only an edit makes active.
fn variable(line: &str) -> Option<&str> {
    let name = line.split_once('=')?.0;
    (!name.starts_with('#') && name.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(name)
}

fn folder() -> PathBuf {
    tools::repository().join("deploy/systemd")
}

fn units() -> Vec<PathBuf> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let units: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "service")).collect();
    assert!(units.len() >= 5, "found {units:?}");
    units
}

/// Copies a unit whose programs are not installed here.
fn with_stubs(unit: &Path, folder: &Path) -> PathBuf {
    let text = fs::read_to_string(unit).unwrap();
    let stub = |line: &str| {
        let (command, flags) = line.split_once(' ').filter(|_| line.starts_with("Exec"))?;
        let (key, program) = command.split_once('=')?;
        PROGRAMS.contains(&program.trim_start_matches('-')).then(|| format!("{key}=/bin/true {flags}\n"))
    };
    let text: String = text.lines().map(|line| stub(line).unwrap_or_else(|| format!("{line}\n"))).collect();
    let copy = folder.join(unit.file_name().unwrap());
    fs::write(&copy, text).unwrap();
    copy
}

fn analyze(options: &[&str], units: &[&PathBuf]) -> Output {
    let output = Command::new("systemd-analyze").args(options).args(units).output();
    output.expect("systemd-analyze of the package systemd starts")
}
