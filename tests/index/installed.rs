//! `make install-index` and its unit.

use std::fs;
use std::process::Command;

use pushring_harness::Process;
use pushring_harness::tools;

#[test]
fn the_installed_program_runs_as_its_unit_says() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let make = |target: &str| {
        let mut make = Command::new("make");
        make.arg(target).arg(format!("DESTDIR={}", root.display())).arg("PREFIX=/opt");
        make.arg(format!("INDEX_COMMAND={}", tools::metric_index().unwrap().display()));
        let output = make.current_dir(tools::repository()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    make("install-index");
    let unit_file = root.join("opt/lib/systemd/system/metric-index.service");
    let unit = fs::read_to_string(&unit_file).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();

    // systemd finds the program in its path, too, and sets both variables.
    let mut command = Command::new("/bin/sh");
    command.args(["-euc", &format!("exec {line}")]).env("PATH", root.join("opt/bin"));
    command.env("STATE_DIRECTORY", dir.path().join("state")).env("OPTIONS", "--listen 127.0.0.1:0");
    let mut process = Process::start("unit", command, dir.path()).unwrap();
    process.wait_until("ready", |process| process.log().contains("127.0.0.1:").then_some(())).unwrap();
    assert!(dir.path().join("state/catalogue.sqlite").exists());

    make("uninstall-index");
    assert!(!unit_file.exists() && !root.join("opt/bin/metric-index").exists());
}
