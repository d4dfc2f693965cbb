//! The other versions: programs, and a package of another build of the filter and of the command.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pushring_harness::tools;

use crate::machine::Machine;

/// The commit that the other build of the filter names: see `make e2e-upgrade`.
pub(crate) const COMMIT: &str = "next";

/// Copies the newest Envoy and Pushgateway to /root, and the package with the other builds; saves the older programs there.
pub(crate) fn install(machine: &Machine) {
    machine.ok("cp /usr/local/bin/envoy envoy-old; cp /usr/local/bin/pushgateway pushgateway-old");
    let bin = tools::repository().join("target/tools/bin");
    for program in ["envoy", "pushgateway"] {
        copy(machine, &bin.join(program), &format!("/root/{program}-new"));
    }
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path());
    copy(machine, &package, "/root/pushring_0.3.0_amd64.deb");
}

/// Makes the package: that of the release with another version, the command of the other tests and another build of the filter.
fn package(dir: &Path) -> std::path::PathBuf {
    let repository = tools::repository();
    let (root, output) = (dir.join("root"), dir.join("next.deb"));
    let release = repository.join(format!("target/dist/pushring_{}_amd64.deb", env!("CARGO_PKG_VERSION")));
    run(Command::new("dpkg-deb").arg("--raw-extract").args([&release, &root]));
    run(Command::new("sed").args(["-i", "s/^Version: .*/Version: 0.3.0/"]).arg(root.join("DEBIAN/control")));
    run(Command::new("strip").arg("-o").arg(root.join("usr/bin/pushring")).arg(tools::pushring().unwrap()));
    let module = repository.join("target/upgrade/wasm32-unknown-unknown/release/pushring_filter.wasm");
    fs::copy(module, root.join("usr/lib/pushring/pushring_filter.wasm")).unwrap();
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Znone", "--build"]).args([&root, &output]));
    output
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn copy(machine: &Machine, from: &Path, to: &str) {
    machine.write("/root/copied", &STANDARD.encode(fs::read(from).unwrap()));
    machine.ok(&format!("base64 --decode copied > {to}; rm copied"));
}
