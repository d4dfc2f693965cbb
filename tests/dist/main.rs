//! The files of `make dist`, as a user finds them. `make e2e-dist` builds them first.

#![allow(missing_docs)]

mod archive;
mod command;
mod debian;
mod dependencies;
mod install;
mod native;
mod reference;
mod sums;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pushring_harness::tools;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Names of an architecture in file names: in those of archives, and in those of Debian packages.
const ARCHES: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];

/// Returns the architectures that `make` built: both, unless its ARCHES says otherwise.
fn built() -> Vec<(&'static str, &'static str)> {
    let chosen = std::env::var("ARCHES").unwrap_or_else(|_| "x86_64 aarch64".to_owned());
    let built: Vec<_> =
        ARCHES.into_iter().filter(|(arch, _)| chosen.split(' ').any(|name| name == *arch)).collect();
    assert!(built.contains(&here()), "ARCHES={chosen}");
    built
}

/// Returns a file in `target/dist`.
fn dist(name: &str) -> PathBuf {
    let path = tools::repository().join("target/dist").join(name);
    assert!(path.exists(), "{} is missing: run `make dist`", path.display());
    path
}

/// Returns the architecture of this machine, whose command a test can run.
fn here() -> (&'static str, &'static str) {
    ARCHES.into_iter().find(|(arch, _)| *arch == std::env::consts::ARCH).expect("a supported architecture")
}

/// Unpacks the archive of an architecture and returns the one folder in it.
fn unpack(arch: &str, folder: &Path) -> PathBuf {
    let archive = dist(&format!("pushring-{VERSION}-{arch}-linux-musl.tar.gz"));
    run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder));
    let entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries, [folder.join(format!("pushring-{VERSION}"))]);
    entries.into_iter().next().unwrap()
}

/// Runs a program in the folder of the repository and returns its output; it must succeed.
fn run(command: &mut Command) -> String {
    let output =
        command.current_dir(tools::repository()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Returns the output of a line of shell in the folder of the repository.
fn shell(line: &str) -> String {
    run(Command::new("sh").args(["-euc", line])).trim().to_owned()
}

/// Returns the paths of all files below a folder, relative to it and sorted.
fn files(folder: &Path) -> Vec<String> {
    let list = run(Command::new("find").arg(folder).args(["!", "-type", "d", "-printf", "%P\n"]));
    let mut list: Vec<_> = list.lines().map(str::to_owned).collect();
    list.sort();
    list
}
